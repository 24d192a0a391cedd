"""A sweep makes again only what changed since the one before: it must say what one says that remembers nothing."""

import os
import random
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from auditor.kernel.bpf.programs import Programs
from auditor.kernel.root import ProcRoot
from auditor.model import NodeSample
from auditor.sweep import bpf
from auditor.sweep.bpf import Memory

pytestmark = pytest.mark.source("bpf")
STEPS = 30


class Program:
    """This process, which does something else with its sockets at each step."""

    def __init__(self, seed: int, until: ExitStack) -> None:
        self.pids = {os.getpid()}
        self._random, self._until = random.Random(seed), until
        self._listeners = [self._kept(socket.create_server(("127.0.0.1", 0), backlog=50))]
        self._connected: list[socket.socket] = []

    def step(self) -> str:
        name = self._random.choice(
            ["listen", "connect", "connect", "accept", "accept", "send", "hang_up", "datagrams", "pair", "share"]
        )
        getattr(self, f"_{name}")()
        return name

    def _kept(self, one: socket.socket) -> socket.socket:
        return self._until.enter_context(one)

    def _listen(self) -> None:
        self._listeners.append(self._kept(socket.create_server(("127.0.0.1", 0), backlog=50)))

    def _connect(self) -> None:
        server = self._random.choice(self._listeners)
        self._connected.append(self._kept(socket.create_connection(server.getsockname())))

    def _accept(self) -> None:
        server = self._random.choice(self._listeners)
        server.settimeout(0)
        try:
            self._kept(server.accept()[0])
        except BlockingIOError:
            self._connect()

    def _send(self) -> None:
        if self._connected:
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
            deadline = time.monotonic() + 5
            # The connections of a new listener are counted from the next sweep on, and TCP acknowledges in its own time.
            while (one := told(memory)) != (other := told(Memory())):
                assert time.monotonic() < deadline, (done, one, other)
    loaded.close()


def _of(program: Program, sample: NodeSample, name: str) -> list[str]:
    """What is said of the program, in any order."""
    if name == "processes":
        return [repr(one) for one in sample.processes if one.pid in program.pids]
    return sorted(repr(one) for one in getattr(sample, name) if program.pids & set(one.holders or ()))
