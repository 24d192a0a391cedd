"""What only BPF iterators see, and what happens where they cannot be had."""

import os
import resource
import select
import socket
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from truth.auditing import audit, pod, readings
from truth.sources import own_descriptors, programs, sweep
from truth.starting import Start, workload

from auditor.kernel.bpf import libbpf, records
from auditor.kernel.bpf.layout import layout
from auditor.kernel.bpf.programs import Programs
from auditor.kernel.bpf.records import PEERS_AT_HAND, PORTS_MAX
from auditor.kernel.root import ProcRoot
from auditor.model import NodeSample, Peer, TcpState
from auditor.sweep import SweepError
from auditor.sweep import sweep as by_procfs
from auditor.sweep.bpf import Memory
from auditor.sweep.source import RETRY_SECONDS, Source

pytestmark = pytest.mark.source("bpf")


def shares(user: int) -> tuple[int, dict[object, int | None]]:
    """Use of a user's inotify instances, and who has how many."""
    found = [one for one in readings(audit()[1], "inotify-instances") if one.scope == f"user {user}"]
    if not found:
        return 0, {}
    (reading,) = found
    assert reading.used is not None
    assert not reading.estimate
    return reading.used, {share.owner: share.used for share in reading.consumers}


def test_user_namespaces_charge_who_made_them(start: Start) -> None:
    """Pods of different users inside and outside fill one budget: root's, who made both namespaces."""
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    start("mapped", one, 60_000, 20)
    start("mapped", other, 60_001, 30)
    used, of = shares(0)
    assert used >= 50
    assert (of[pod(one)], of[pod(other)]) == (20, 30)
    assert shares(60_000) == (0, {}), "nothing is charged to whom they are mapped to: that limit never binds"


def test_the_effective_user_is_charged(start: Start, uid: str, user: int) -> None:
    start("user", user, 7, uid)
    assert shares(user) == (7, {pod(uid): 7})


def test_who_began_anew_is_told_from_who_ended_with_as_many_watches(start: Start, uid: str, user: int) -> None:
    memory = Memory()
    start("user", user, 1, uid)  # the kernel goes on counting in the same place
    for _ in range(2):
        with workload("watches", uid, user, 50, 20, 1) as truth:
            sample = sweep(ProcRoot(), memory=memory)
            (budget,) = (one for one in sample.budgets if (one.pool, one.uid) == ("inotify-watches", user))
            assert budget.used == 50
            watchers = {one.holders: one.count for one in budget.holders if one.count}
            assert watchers == {tuple(sorted((truth["pid"], truth["child"]))): 50}
            again = sweep(ProcRoot(), memory=memory)
            assert budget in again.budgets, "and remembered while they live"
    sweep(ProcRoot(), memory=memory)
    remembered = {pid for watches in memory.watching.values() for pid, _, _ in watches.of}
    assert not remembered & {truth["pid"], truth["child"]}, "and then forgotten"


def test_a_server_that_forks_counts_each_description_once(start: Start) -> None:
    truth = start("prefork")
    sample = sweep(ProcRoot())
    pids = {truth["parent"], *truth["children"]}
    held = [process for process in sample.processes if process.pid in pids]
    private = {process.pid: process.private_descriptions for process in held}
    assert {private[child] for child in truth["children"]} == {truth["own"]}
    assert sample.shared is not None
    by_all = sum(one.count for one in sample.shared if pids <= set(one.holders))
    assert by_all == truth["shared"]
    distinct = sum(filter(None, private.values())) + sum(one.count for one in sample.shared if pids & {*one.holders})
    assert distinct < sum(process.fds or 0 for process in held) / 2


def of_pids(sample: NodeSample, pids: set[int]) -> tuple[object, ...]:
    rows = {
        one.pid: (one.start, one.uid, one.threads, one.cgroups, one.netns, one.soft_limit, one.hard_limit, one.fds,
                  one.table_pid, one.kinds, one.private_descriptions)
        for one in sample.processes if one.pid in pids
    }  # fmt: skip
    sockets = Counter[object]()
    queued = Counter[object]()
    for group in sample.sockets:
        if group.holders and pids & set(group.holders):
            sockets[group.protocol, group.state, group.holders] += group.count
            queued[group.protocol, group.holders] += group.queued_bytes
    netns = {row.netns for row in sample.processes if row.pid in pids} - {sample.host_netns}
    counters = {one for one in sample.netns if one.inode in netns}
    listeners = {one for one in sample.listeners or () if pids & set(one.holders or ())}
    shared = {one for one in sample.shared or () if pids & set(one.holders)}
    return rows, sockets, queued, counters, listeners, shared


@pytest.mark.parametrize(
    "workload", ["kinds", "tcp 2", "prefork", "listeners POD 3", "ptys POD 5", "zombie_leader", "clone_files"]
)
def test_both_sources_agree(start: Start, uid: str, workload: str) -> None:
    name, *arguments = workload.split()
    truth = start(name, *(uid if one == "POD" else one for one in arguments))
    pids = {truth[one] for one in ("pid", "parent", "keeper", "sharer") if one in truth} | {*truth.get("children", ())}
    for _ in range(20):  # a client that was dropped tries again, and is counted again
        ours, theirs = of_pids(sweep(ProcRoot()), pids), of_pids(by_procfs(ProcRoot()), pids)
        if ours == of_pids(sweep(ProcRoot()), pids):
            break
    for one, other in zip(ours, theirs, strict=True):
        assert one == other


CONFINED = """
import sys
from auditor.kernel.errors import Malformed
from auditor.kernel.root import ProcRoot
from auditor.sweep import SweepError
from auditor.sweep.source import RETRY_SECONDS, Source
source = Source(ProcRoot(), sys.argv[1])

def fail(*arguments, **options):
    del source._programs.descriptors
    raise Malformed("map ports: Argument list too long")

try:
    if sys.argv[2] in ("confine", "fail once"):
        print(source.confine())
    if sys.argv[2] == "fail once":
        source._programs.descriptors = fail
        for _ in range(2):
            sample = source.sweep()
            print(sample.source, sample.reason, sep=": ")
        source._tried = -RETRY_SECONDS
    sample = source.sweep()
    print(sample.source, sample.reason, sep=": ")
except SweepError as error:
    print(error)
print(open("/proc/self/status").read())
"""


def confined(capabilities: str, *arguments: str) -> list[str]:
    """Sweep with these capabilities and no others; what it says."""
    command = ["setpriv", f"--bounding-set=-all{capabilities}", "--inh-caps=-all", sys.executable, "-c", CONFINED]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout.splitlines()


def test_without_capabilities_procfs_takes_over() -> None:
    assert confined("", "auto", "")[0].startswith("procfs: BPF cannot be used: CAP_BPF and CAP_PERFMON are needed")
    assert confined(",+bpf", "auto", "")[0].startswith("procfs: BPF cannot be used: ")
    refused = confined("", "bpf", "")[0]
    assert refused.startswith("BPF cannot be used: CAP_BPF and CAP_PERFMON are needed")
    assert refused.endswith("Leave out --source bpf.")


def test_after_loading_no_capability_is_left_and_reading_goes_on() -> None:
    kept, source, *status = confined(",+bpf,+perfmon", "auto", "confine")
    assert source.startswith("bpf: ")
    left = {line.split()[0]: int(line.split()[1], 16) for line in status if line.startswith(("CapEff", "CapPrm"))}
    assert set(left.values()) == ({0} if kept == "None" else {1 << 39})


def test_where_nobody_may_load_them_again_the_programs_are_kept_and_tried_later() -> None:
    _, first, second, third, *_ = confined(",+bpf,+perfmon", "auto", "fail once")
    assert first == "procfs: BPF cannot be used: map ports: Argument list too long"
    assert second == first, "not tried at every sweep"
    assert third.startswith("bpf: ")


def test_programs_that_could_not_be_loaded_before_say_what_was_missing_then() -> None:
    assert confined(",+bpf", "auto", "confine")[1].startswith(
        "procfs: BPF cannot be used: CAP_BPF and CAP_PERFMON are needed"
    )


def test_very_many_other_ends_are_all_told_apart(start: Start, uid: str) -> None:
    truth, many = start("closing", uid, PEERS_AT_HAND + 4), PEERS_AT_HAND + 4
    (group,) = (
        one for one in sweep(ProcRoot()).sockets if one.holders == (truth["pid"],) and one.state is TcpState.CLOSE_WAIT
    )
    assert group.count == many * (many + 1) // 2
    assert group.peers == tuple(Peer(f"127.0.1.{number}", None, number) for number in (many, many - 1, many - 2))


def test_what_a_pass_that_failed_left_in_the_maps_is_thrown_away(
    start: Start, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = start("closing", uid, PEERS_AT_HAND + 4)
    loaded = Programs()

    def counted() -> int:
        told = loaded.descriptors()
        assert told.more_peers
        return sum(one[-1] for one in layout(records.Peer).iter_unpack(told.peers[truth["pid"]]))

    before = counted()
    with monkeypatch.context() as patch:
        patch.setattr(loaded, "_drain", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loaded.descriptors()
    loaded.empty()
    assert counted() == before
    assert before
    loaded.close()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("btf", "the kernel does not describe its types (/nowhere is missing: CONFIG_DEBUG_INFO_BTF)"),
        ("object", "the programs were not compiled: python -m auditor.kernel.bpf.compile does it, or says why not"),
        ("stale", "the programs were compiled of another version's source: install again"),
        ("libbpf", "libbpf.so.1-missing is not installed"),
        ("full", "3 sockets found no room in its maps"),
        ("crowd", "users of inotify or epoll found no room in its maps"),
        ("blind", "it shows 0 of this process's "),
    ],
)
def test_every_fault_is_one_reason_and_procfs_takes_over(
    fault: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = select.epoll()
    stale = tmp_path / "stale.o"
    stale.write_bytes(b"\x7fELF")

    def load() -> Programs:
        match fault:
            case "btf":
                return Programs(btf="/nowhere")
            case "object":
                return Programs(path="/nowhere.o")
            case "stale":
                return Programs(path=str(stale))
            case "libbpf":
                monkeypatch.setattr(libbpf, "_LIBRARY", "libbpf.so.1-missing")
                return Programs()
            case "crowd":
                monkeypatch.setattr(records, "USERS_MAX", 1)
                return Programs()
        loaded = Programs()
        complete = loaded.descriptors
        sums: dict[str, Any] = {"full": {"lost": 3}, "blind": {"fds": 0}}[fault]

        def short(*arguments: object, **options: object) -> object:
            seen = complete(*arguments, **options)  # type: ignore[arg-type]
            own = {one.pid for one in loaded.tasks() if one.number == os.getpid()}
            seen.sums |= {pid: seen.sums[pid]._replace(**sums) for pid in own}
            return seen

        monkeypatch.setattr(loaded, "descriptors", short)
        return loaded

    source = Source(ProcRoot(), load=load)
    sample = source.sweep()
    assert sample.source == "procfs"
    assert sample.processes
    assert sample.reason.startswith(f"BPF cannot be used: {reason}")
    assert source.trouble is not None
    with pytest.raises(SweepError, match="Leave out --source bpf"):
        Source(ProcRoot(), "bpf", load=load).sweep()
    source._load = Programs
    monkeypatch.undo()
    assert source.sweep().source == "procfs", "not tried at every sweep"
    source._tried = -RETRY_SECONDS
    assert source.sweep().source == "bpf", "tried again later"
    assert source.trouble is None
    source.close()
    mine.close()


SPENT = """
import ctypes, os
from auditor.kernel.root import ProcRoot
from auditor.model import Kind
from auditor.sweep.source import Source
libc, held = ctypes.CDLL(None), []
while (fd := libc.inotify_init1(0)) >= 0:
    held.append(fd)
source = Source(ProcRoot())
print(source.confine())
for _ in range(2):
    sample = source.sweep()
    own = next(one for one in sample.processes if one.pid == os.getpid())
    (budget,) = (one for one in sample.budgets if (one.pool, one.uid) == ("inotify-instances", os.getuid()))
    gaps = [gap.detail for gap in sample.gaps if gap.id == "unlearnt-kinds"]
    print(sample.source, own.kinds and own.kinds[Kind.INOTIFY] == len(held), budget.used == len(held) > 8, gaps)
    os.close(held.pop())
    source.sweep()
    held.append(libc.inotify_init1(0))
"""


def test_programs_loaded_while_a_kind_cannot_be_learnt_do_not_guess_and_learn_it_later(user: int) -> None:
    rights = "-all,+bpf,+perfmon,+dac_read_search"  # wherever this project lies
    command = ["setpriv", f"--reuid={user}", "--clear-groups", f"--inh-caps={rights}", f"--ambient-caps={rights}"]
    done = subprocess.run([*command, sys.executable, "-c", SPENT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "None",
        "bpf None True ['by BPF iterators: none could be opened to learn what tells inotify (Too many open files)']",
        "bpf True True []",
    ]


def test_nothing_stays_open_and_loading_again_and_again_leaks_nothing() -> None:
    programs()
    sweep(ProcRoot())
    before = own_descriptors()
    for _ in range(3):
        loaded = Programs()
        loaded.tasks()
        loaded.close()
    assert own_descriptors() == before


def test_more_listeners_than_their_connections_are_counted_of(start: Start) -> None:
    many = PORTS_MAX + 100
    truth = start("many_listeners", many)
    source = Source(ProcRoot(), load=Programs)
    for _ in range(2):  # the first sweep asks for the ports that it saw
        sample = source.sweep()
        assert sample.source == "bpf", source.trouble
    source.close()
    found = [one for one in sample.listeners or () if one.netns == truth["netns"]]
    assert len(found) == many
    assert 0 < sum(one.connections is None for one in found) < many
    assert "listener-connections" in {gap.id for gap in sample.gaps}


def test_connections_are_counted_anew_by_each_pass(start: Start, uid: str) -> None:
    """The ports stay in their map; one that is closed goes."""
    loaded = Programs()
    truth = start("clients", uid, 40)
    port = truth["netns"], 1024, socket.AF_INET
    for _ in range(3):
        assert loaded.descriptors(frozenset({port})).connections == {port: 40}
    other = truth["netns"], 1025, socket.AF_INET
    assert loaded.descriptors(frozenset({port, other})).connections == {port: 40, other: 0}
    assert loaded.descriptors(frozenset({other})).connections == {other: 0}
    assert loaded.descriptors().connections == {}
    loaded.close()


def test_a_task_that_says_what_it_said_before_is_the_same_object(start: Start) -> None:
    loaded = Programs()
    truth = start("tcp", 2)
    one, other = ({task.number: task for task in loaded.tasks()} for _ in range(2))
    assert one[truth["pid"]] is other[truth["pid"]]
    resource.prlimit(truth["pid"], resource.RLIMIT_NOFILE, (777, 777))
    (changed,) = (task for task in loaded.tasks() if task.number == truth["pid"])
    assert changed is not one[truth["pid"]]
    assert changed.soft == 777
    loaded.close()


def test_a_table_that_grows_between_passes_breaks_no_sum(start: Start) -> None:
    start("churn")
    for _ in range(50):
        sample = sweep(ProcRoot())
        for process in sample.processes:
            if process.kinds is not None:
                assert sum(process.kinds.values()) == process.fds


def test_who_moves_to_another_cgroup_is_found_there_by_the_next_sweep(start: Start, uid: str) -> None:
    """Where processes are is remembered from sweep to sweep."""
    mover, host = start("user", 54_326, 1, uid), start("user", 54_327, 1, str(uuid.uuid4()))
    source = Source(ProcRoot(), load=Programs)

    def folder_of(pid: int) -> str:
        sample = source.sweep(cpu_seconds=0.3)
        assert sample.source == "bpf", source.trouble
        (found,) = (process.cgroups for process in sample.processes if process.pid == pid)
        return next(path for _, path in found if "/kubepods/pod" in path)

    def move(folder: str) -> None:
        bases = ("/sys/fs/cgroup/pids", "/sys/fs/cgroup")
        base = next(base for base in bases if os.path.isdir(f"{base}{folder}"))
        Path(f"{base}{folder}/cgroup.procs").write_text(str(mover["pid"]))

    home, abroad = folder_of(mover["pid"]), folder_of(host["pid"])
    assert uid in home
    move(abroad)
    try:
        assert folder_of(mover["pid"]) == abroad
    finally:
        move(home)
    assert folder_of(mover["pid"]) == home
    source.close()
