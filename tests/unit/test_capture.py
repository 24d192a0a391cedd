"""`sockaudit capture`: what it saves replays as it was, and holds nothing that is a user's own text."""

import contextlib
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel import recorded

from auditor.attribute import locate
from auditor.capture import CaptureError, capture
from auditor.kernel.procfs import fd, fdinfo, maps, mountinfo, stat, status
from auditor.kernel.procfs.fd import kind_of
from auditor.kernel.recording import Recording
from auditor.kernel.root import ProcRoot
from auditor.model import Kind, NodeSample, Process
from auditor.sweep import sweep

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and os.environ.get("CI") != "true", reason="needs root, to give it up"
)
SECRET = "hunter2-open-sesame"
HOSTILE = b"a) R (\n\x1b[2J\xff"
HOLDER = """
import ctypes, os, pathlib, select, sys
folder = pathlib.Path(sys.argv[1])
held = [open(folder / sys.argv[2], "w"), os.memfd_create(sys.argv[2]), open("/dev/null"), os.pipe(), os.eventfd(0)]
held += [os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY), os.open(folder, os.O_RDONLY)]
libc = ctypes.CDLL(None)
inotify = libc.inotify_init1(0)
assert libc.inotify_add_watch(inotify, os.fsencode(folder), 0x100) > 0
epoll = select.epoll()
epoll.register(held[3][0])
pathlib.Path("/proc/self/comm").write_bytes(bytes.fromhex(sys.argv[3]))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[int]:
    """A process with a secret in its arguments, its environment and the names of what it has open."""
    folder = tmp_path / f"folder-{SECRET}"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), f"file-{SECRET}", HOSTILE.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PASSWORD": SECRET},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin, process.stdout:
        assert process.stdout.readline() == b"ready\n"
        while stat.parse(Path(f"/proc/{process.pid}/stat").read_bytes()).state != "S":
            time.sleep(0.005)
        yield process.pid


def run(
    *arguments: object, file_size: int | None = None, wrapped: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    def limit_file_size() -> None:
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    command = [*wrapped, sys.executable, "-m", "auditor.cli", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        preexec_fn=limit_file_size,
    )


def everything(tree: Path) -> Iterator[tuple[Path, bytes]]:
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            path = Path(folder) / name
            yield (
                path,
                os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
            )


def facts(sample: NodeSample) -> dict[int, tuple[object, ...]]:
    def of(row: Process) -> tuple[object, ...]:
        figures = (row.start, row.command, row.uid, row.threads, row.soft_limit, row.hard_limit)
        return (*figures, row.netns, row.fds, row.kinds, locate(row.cgroups))

    # Only a live kernel tells that two processes share a table.
    return {
        row.pid: (row.start, *[None] * 8) if row.kernel_thread else of(row)
        for row in sample.processes
        if row.owns_table
    }


def times_run() -> dict[str, str]:
    """Thread by thread how long and how often it ran: /proc/<pid>/task/<tid>/schedstat (sched-stats.rst)."""
    seen = {}
    for path in Path("/proc").glob("[0-9]*/task/[0-9]*/schedstat"):
        with contextlib.suppress(OSError):
            seen[str(path)] = path.read_text()
    return seen


def test_a_replay_shows_what_the_machine_showed(holder: int, tmp_path: Path) -> None:
    earlier, before = times_run(), facts(sweep(ProcRoot()))
    assert run("capture", tmp_path / "tree").returncode == 0
    later = times_run()
    replayed = sweep(ProcRoot(str(tmp_path / "tree")))
    shown = facts(replayed)
    ran = {int(path.split("/")[2]) for path in earlier.keys() | later.keys() if earlier.get(path) != later.get(path)}
    slept = (before.keys() & {int(path.split("/")[2]) for path in earlier}) - ran - {os.getpid()}
    assert holder in slept, "what ran meanwhile may have opened and closed something; what slept may not"
    assert {pid: shown.get(pid) for pid in slept} == {pid: before[pid] for pid in slept}
    row = next(row for row in replayed.processes if row.pid == holder)
    assert row.kinds is not None
    assert {Kind.FILE, Kind.MEMFD, Kind.DEVICE, Kind.TTY, Kind.INOTIFY, Kind.EPOLL, Kind.EVENTFD} <= set(row.kinds)
    watching = {
        one.pool for one in replayed.budgets for held in one.holders if held.holders == (holder,) and held.count == 1
    }
    assert watching == {"inotify-instances", "inotify-watches", "epoll-watches"}


def test_a_capture_says_in_one_line_what_it_saved(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    done = run("capture", tree)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    saved = len(sweep(ProcRoot(str(tree))).processes)
    sizes = [len(content) for path, content in everything(tree) if path.is_symlink() or path.is_file()]
    assert done.stdout.startswith(f"saved {saved:,} processes in {tree}, {len(sizes):,} files of ")
    assert done.stdout.endswith(f"replay: sockaudit scan --procfs {tree}\n")


def test_no_text_of_a_user_is_saved_and_nobody_else_may_read_it(holder: int, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    assert run("capture", tree).returncode == 0
    assert (tree / str(holder) / "stat").read_bytes().startswith(b"%d (%b)" % (holder, HOSTILE[:15]))
    for path, content in [(tree, b""), *everything(tree)]:
        assert SECRET.encode() not in os.fsencode(path) + content
        assert b"/folder" not in content
        if not path.is_symlink():
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
    assert not list(tree.glob("**/cmdline")) + list(tree.glob("**/environ"))


def test_a_recorded_tree_is_recorded_whole(tmp_path: Path) -> None:
    """What the sweep of the capture finds is what the sweep of the copy finds."""
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    recorded.node(source)
    recorded.process(source, 1, comm=b"systemd", fds={0: "/dev/null", 9: "socket:[12]", 4: "anon_inode:inotify"})
    recorded.process(source, 40, comm=b"ja)va))", fds={3: "/home/secret", 5: "anon_inode:[eventpoll]", 6: "/dev/ptmx"})
    folder = recorded.process(source, 50, state="Z", threads=3, netns=None)
    (folder / "task" / "51" / "fd").mkdir(parents=True)
    (folder / "task" / "51" / "ns").mkdir()
    (source / "60").mkdir()
    os.symlink("net:[4026539999]", folder / "task" / "51" / "ns" / "net")
    os.symlink("/etc/passwd", folder / "task" / "51" / "fd" / "0")
    pod = recorded.CGROUP.format(id="f" * 64).strip().removeprefix("0::/")
    recorded.cgroup_tasks(source, {pod: (3, "50"), "kubepods.slice": (40, "400")})
    capture(str(source), str(copy))
    original, again = sweep(ProcRoot(str(source))), sweep(ProcRoot(str(copy)))
    for name in ("facts", "processes", "netns", "sockets", "budgets", "pools", "cgroup_tasks", "gaps"):
        assert getattr(again, name) == getattr(original, name), name
    assert len(again.cgroup_tasks) == 2
    assert b"secret" not in b"".join(content for _, content in everything(copy))


def test_the_copy_tells_the_name_of_the_machine(tmp_path: Path) -> None:
    recorded.node(tmp_path)
    (tmp_path / "sys/kernel/hostname").write_text("Node_A.example\n")
    capture(str(tmp_path), str(tmp_path / "tree"))
    done = run("scan", "--procfs", tmp_path / "tree", "-o", "json")
    assert '"name": "node-a.example"' in done.stdout
    assert run("scan", "--procfs", tmp_path / "tree").stdout.startswith("node-a.example · Linux 6.1")


def test_a_table_that_may_not_be_listed_keeps_its_size(tmp_path: Path) -> None:
    source, copy, again = tmp_path / "source", tmp_path / "copy", tmp_path / "again"
    source.mkdir()
    recorded.node(source)
    folder = recorded.process(source, 40)
    (folder / "fd").rmdir()
    (folder / "fd.size").write_text("382")
    capture(str(source), str(copy))
    capture(str(copy), str(again))
    assert [row.fds for row in sweep(ProcRoot(str(again))).processes] == [382]


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A folder of a user without rights; pytest's own are closed to him."""
    with tempfile.TemporaryDirectory(prefix="sockaudit-") as folder:
        os.chown(folder, 65534, 65534)
        yield Path(folder)


@needs_root
def test_what_could_not_be_read_is_missing_in_the_copy_not_empty(nobodys: Path) -> None:
    tree = nobodys
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            capture("/proc", str(tree))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    rows = {row.pid: row for row in sweep(ProcRoot(str(tree))).processes}
    assert rows[os.getpid()].kinds is None
    seen = rows[os.getpid()].fds
    assert (seen is not None and seen > 0) if fd.size_is_count(ProcRoot()) else seen is None, "as anybody may see"
    assert rows[os.getpid()].netns == os.stat("/proc/self/ns/net").st_ino


@needs_root
def test_descriptors_that_may_be_listed_but_not_read_are_not_saved_as_none(holder: int, tmp_path: Path) -> None:
    kept = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-all"]
    assert run("capture", tmp_path / "tree", wrapped=kept).returncode == 0
    row = next(row for row in sweep(ProcRoot(str(tmp_path / "tree"))).processes if row.pid == holder)
    assert (row.fds, row.kinds) == (len(os.listdir(f"/proc/{holder}/fd")), None)


NESTED = ["unshare", "--pid", "--fork", "--mount-proc"]
UNTRACED = "setpriv --regid=12345 --clear-groups --bounding-set=-sys_ptrace --inh-caps=-all --"


def hiding(hidepid: int) -> list[str]:
    script = f'mount -t proc -o hidepid={hidepid} proc /proc && exec {UNTRACED} "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def audited(*arguments: object, wrapped: Sequence[str] = ()) -> dict[str, Any]:
    done = run("scan", *arguments, "-o", "json", wrapped=wrapped)
    assert (done.returncode, done.stderr) == (0, "")
    status: dict[str, Any] = json.loads(done.stdout)["status"]
    return status


def gaps(status: dict[str, Any]) -> dict[str, str]:
    return {gap["id"]: gap["detail"] for gap in status["coverage"]["gaps"]}


def unjudged(status: dict[str, Any]) -> set[str]:
    return {limit for gap in status["coverage"]["gaps"] for limit in gap["limits"]}


def known(status: dict[str, Any]) -> set[str]:
    return {one["name"] for one in status["limits"] if "percent" in one or one["limitState"] == "Unlimited"}


@pytest.mark.parametrize(
    ("wrapped", "gap", "says"),
    [
        (NESTED, "pid-namespace", ", processes outside this PID namespace"),
        (hiding(1), "denied-processes", ", what was refused of "),
        (hiding(2), "hidden-processes", ", processes that do not show"),
    ],
    ids=["nested", "hidepid=1", "hidepid=2"],
)
def test_what_the_machine_hides_the_copy_does_not_judge(
    wrapped: list[str], gap: str, says: str, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to hide processes")
    live = audited("--source", "procfs", wrapped=wrapped)
    done = run("capture", tmp_path / "tree", wrapped=wrapped)
    assert gap in gaps(live)
    assert says in done.stdout
    assert re.match(r"saved [1-3] process(es)? in ", done.stdout), "those that were read"
    capture(str(tmp_path / "tree"), str(tmp_path / "again"))
    for copy in ("tree", "again"):
        replayed = audited("--procfs", tmp_path / copy)
        assert unjudged(live) <= unjudged(replayed)
        assert known(replayed) <= known(live)
        assert {one["name"] for one in replayed["limits"]} - known(replayed) <= unjudged(replayed)
        for hidden in ("pid-namespace", "pid-max", "hidden-processes"):
            assert (hidden in gaps(replayed)) == (hidden in gaps(live))
        assert ("stat" in gaps(replayed).get("absent-files", "")) == ("denied-processes" in gaps(live))


@pytest.mark.parametrize("may_enter", [True, False])
def test_sysctls_are_the_hosts_or_are_not_saved(may_enter: bool, tmp_path: Path) -> None:  # noqa: FBT001
    if os.geteuid() != 0:
        pytest.skip("needs root, to be in another network namespace")
    kept = "" if may_enter else "setpriv --bounding-set=-sys_admin --inh-caps=-all --"
    script = f'echo 7 > /proc/sys/net/ipv4/tcp_max_tw_buckets && exec {kept} "$@"'
    wrapped = ["unshare", "--net", "sh", "-c", script, "sh"]
    live = audited("--source", "procfs", wrapped=wrapped)
    done = run("capture", tmp_path / "tree", wrapped=wrapped)
    replayed = audited("--procfs", tmp_path / "tree")
    assert ("sysctls of the host's network namespace" in done.stdout) != may_enter
    saved = {file.read_text() for file in tmp_path.glob("tree/sys/net/ipv4/tcp_max_tw_buckets")}
    assert saved == ({Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").read_text()} if may_enter else set())
    assert known(replayed) <= known(live)
    assert {"time-wait", "conntrack", "ephemeral-ports"} & unjudged(live) <= unjudged(replayed)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: (path.mkdir(), (path / "x").touch()), "is not empty"),
        (lambda path: path.touch(), "Not a directory"),
        (lambda path: path.symlink_to("/proc"), "is not empty"),
        (lambda path: path.symlink_to("missing"), "Name a new or an empty directory"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_before_anything_is_read(tmp_path: Path, make, says: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    make(tmp_path / "tree")
    done = run("capture", tmp_path / "tree", "--procfs", "/nonexistent")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert says in done.stderr


def test_a_folder_that_cannot_be_made_or_is_anothers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        capture("/proc", str(tmp_path / "missing" / "tree"))
    with pytest.raises(CaptureError, match="Name a"):
        capture("/proc", "/proc/sys/tree")
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        with pytest.raises(CaptureError, match="another user"):
            capture("/proc", str(tmp_path))


def test_no_procfs_is_one_line(tmp_path: Path) -> None:
    done = run("capture", tmp_path / "tree", "--procfs", "/nonexistent")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert not (tmp_path / "tree").exists()
    assert run("capture", tmp_path / "tree").returncode == 0, "nothing was left behind"


def test_files_that_cannot_be_written_are_reported_and_the_rest_is_saved(tmp_path: Path) -> None:
    done = run("capture", tmp_path / "tree", file_size=700)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert re.search(r"[1-9][\d,]* files could not be written, such as .*/limits: File too large", done.stderr)
    assert "saved" in done.stdout
    assert os.getpid() in {row.pid for row in sweep(ProcRoot(str(tmp_path / "tree"))).processes}
    assert not list((tmp_path / "tree").glob("*/limits")), "half a file would be read as a whole one"


def test_a_process_that_ends_meanwhile_is_not_saved_by_half(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"])
    recording = Recording("/proc", str(tmp_path))
    with recording.process(process.pid) as pinned:
        assert stat.read(pinned).start > 0
        process.kill()
        process.wait()
        with pytest.raises(Exception, match=str(process.pid)):
            pinned.read("limits")
    assert recording.finish({process.pid: None, os.getpid(): None}) == 0
    assert not (tmp_path / str(process.pid)).exists()


def test_the_command_that_replays_is_safe_to_paste(tmp_path: Path) -> None:
    tree = tmp_path / "a b; touch x"
    recorded.node(tmp_path)
    assert capture(str(tmp_path), str(tree)).summary.endswith(f"--procfs {shlex.quote(str(tree))}")


@given(
    target=st.text(max_size=60)
    | st.builds(
        "".join, st.lists(st.sampled_from(["/", "dev", "pts", "shm", "memfd:", "socket:[", "pipe:[", "1", "]", "tty"]))
    ),
    mode=st.sampled_from([None, 0o020666, 0o100644, 0o060660]),
)
def test_a_reduced_link_has_the_same_kind_and_none_of_the_text(target: str, mode: int | None) -> None:
    reduced = fd.reduce(target, lambda: mode)
    assert kind_of(reduced) is kind_of(target, mode if target.startswith("/dev/") else None)
    allowed = {*fd.STAND_INS.values(), "anon_inode:[other]", *fd.PTY_LINKS, *fd._ANONYMOUS}
    assert reduced in allowed or re.fullmatch(r"(socket|pipe|net|pid):\[[0-9]{1,20}\]", reduced)


@pytest.mark.parametrize(
    "target", ["/dev/ptmx", "anon_inode:inotify", "anon_inode:[eventpoll]", "socket:[5]", "net:[5]"]
)
def test_links_that_limits_are_counted_by_stay(target: str) -> None:
    assert fd.reduce(target) == target


def test_what_is_reduced_parses_as_before() -> None:
    line = Path("/proc/self/stat").read_bytes()
    assert stat.parse(stat.reduce(line)) == stat.parse(line)
    assert len(stat.reduce(line).split()) == 22
    assert len(stat.reduce(b"1 (" + b"x" * 100_000 + b") S 1")) < 400
    text = Path("/proc/self/status").read_bytes()
    assert status.parse_effective_uid(status.reduce(text)) == os.geteuid()
    assert status.reduce(text).count(b"\n") == 2
    rings = (
        b"7f00000-7f02000 rw-s 00000000 00:0f 123 /[aio] (deleted)\n"
        b"7f04000-7f05000 rw-s 00000000 00:0f 124 /[aio] (deleted)\n7f06000-7f07000 r--p 0 0:0 5 /home/secret\n"
    )
    assert maps.parse_aio_events(maps.reduce(rings)) == maps.parse_aio_events(rings) == 192
    assert maps.reduce(rings).count(b"\n") == 1
    mounts = (
        b"24 1 0:6 / /home/secret rw - ext4 /dev/secret rw\n"
        b"25 1 0:22 /a\\040b /sys/fs/cgroup/pids rw,nosuid shared:9 - cgroup secret rw,pids,release_agent=/secret\n"
        b"26 1 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    one, other = mountinfo.parse_cgroups(mounts)
    reduced, same = mountinfo.parse_cgroups(mountinfo.reduce(mounts))
    assert (reduced.point, reduced.top, reduced.controllers) == (one.point, one.top, frozenset({"rw", "pids"}))
    assert same == other
    assert b"secret" not in mountinfo.reduce(mounts)
    watches = (line.encode() + b"\n" for line in "".join(recorded.FDINFO.values()).splitlines())
    assert fdinfo.reduce(watches) == b"pos:\ninotify wd:\ninotify wd:\ninotify wd:\ntfd:\n"
