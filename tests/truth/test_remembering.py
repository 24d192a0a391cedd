"""A sweep makes again only what changed since the one before: it must say what one says that remembers nothing."""

import os
import random
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import pytest

from auditor.kernel.bpf.programs import Programs
from auditor.kernel.root import ProcRoot
from auditor.model import NodeSample
from auditor.sweep import bpf
from auditor.sweep.bpf import Memory

pytestmark = pytest.mark.source("bpf")
STEPS = 120
_ONCE = ("listen", "listen_as_well", "listen_locally", "stop_listening", "send", "datagrams", "pair", "share")


class Program:
    """This process, which does something else with its sockets at each step."""

    def __init__(self, seed: int, until: ExitStack) -> None:
        self.pids = {os.getpid()}
        self._random, self._until = random.Random(seed), until
        self._listeners = [self._kept(socket.create_server(("127.0.0.1", 0), backlog=50, reuse_port=True))]
        self._connected: list[socket.socket] = []

    def step(self) -> str:
        names = [*["connect"] * 6, *["accept"] * 6, *["hang_up"] * 4, *_ONCE]
        name = self._random.choice(names)
        getattr(self, f"_{name}")()
        return name

    def _kept(self, one: socket.socket) -> socket.socket:
        return self._until.enter_context(one)

    def _listen(self) -> None:
        self._listeners.append(self._kept(socket.create_server(("127.0.0.1", 0), backlog=50, reuse_port=True)))

    def _listen_as_well(self) -> None:
        """At the port of another, and at its address or the next one."""
        address, port = self._random.choice(self._listeners).getsockname()
        address = self._random.choice([address, f"127.0.0.{int(address[-1]) % 3 + 1}"])
        one = self._kept(socket.socket())
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((address, port))
        one.listen(50)
        self._listeners.append(one)

    def _listen_locally(self) -> None:
        one = self._kept(socket.socket(socket.AF_UNIX))
        one.bind(f"\0sockaudit-{os.getpid()}-{one.fileno()}")
        one.listen(7)

    def _stop_listening(self) -> None:
        if len(self._listeners) > 1:
            self._listeners.pop(self._random.randrange(len(self._listeners))).close()

    def _connect(self) -> None:
        """From any of many addresses."""
        server = self._random.choice(self._listeners)
        client = self._kept(socket.socket())
        client.bind((f"127.0.1.{self._random.randrange(1, 30)}", 0))
        client.connect(server.getsockname())
        self._connected.append(client)

    def _accept(self) -> None:
        server = self._random.choice(self._listeners)
        server.settimeout(0)
        try:
            self._kept(server.accept()[0])
        except BlockingIOError:
            self._connect()

    def _send(self) -> None:
        if self._connected:
            with suppress(OSError):  # who would accept it has stopped listening
                self._random.choice(self._connected).send(bytes(20_000))

    def _hang_up(self) -> None:
        if self._connected:
            self._connected.pop(self._random.randrange(len(self._connected))).close()

    def _datagrams(self) -> None:
        self._kept(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", 0))

    def _pair(self) -> None:
        for one in socket.socketpair():
            self._kept(one)

    def _share(self) -> None:
        """Another process holds a socket as well."""
        shared = self._random.choice([*self._listeners, *self._connected])
        command = [sys.executable, "-c", "print(flush=True); input()"]
        child = self._until.enter_context(
            subprocess.Popen(
                command, pass_fds=[shared.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        self._until.callback(child.kill)
        assert child.stdout
        child.stdout.readline()
        self.pids.add(child.pid)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_remembered_is_what_would_be_read(seed: int) -> None:
    loaded, memory = Programs(), Memory()

    def told(remembered: Memory) -> dict[str, list[str]]:
        sample = bpf.sweep(ProcRoot(), loaded, cpu_seconds=0.3, memory=remembered)
        return {name: _of(program, sample, name) for name in ("sockets", "listeners", "processes")}

    with ExitStack() as until:
        program, done = Program(seed, until), []
        told(memory)
        for _ in range(STEPS):
            done.append(program.step())
            deadline = time.monotonic() + 60
            # The connections of a new listener are counted from the next sweep on, and TCP acknowledges in its own time.
            while (one := told(memory)) != (other := told(Memory())):
                assert time.monotonic() < deadline, (done, one, other)
    loaded.close()


def _of(program: Program, sample: NodeSample, name: str) -> list[str]:
    """What is said of the program, in any order."""
    if name == "processes":
        return [repr(one) for one in sample.processes if one.pid in program.pids]
    return sorted(repr(one) for one in getattr(sample, name) if program.pids & set(one.holders or ()))
