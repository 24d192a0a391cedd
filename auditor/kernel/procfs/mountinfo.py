"""/proc/PID/mountinfo, proc_pid_mountinfo(5): namespaces that a mount keeps alive (`ip netns`, CNI), and cgroups."""

import re
from dataclasses import dataclass

from auditor.kernel.errors import KernelError, Malformed
from auditor.kernel.procfs import ns
from auditor.kernel.root import ProcDirectory

_ESCAPE = re.compile(r"\\([0-7]{3})")
_ROOT, _MOUNT_POINT = 3, 4


def read_namespaces(process: ProcDirectory) -> dict[int, str]:
    """Read where network namespaces are mounted, by inode. Any user may."""
    return parse_namespaces(process.read("mountinfo", having=b" - nsfs "))


def parse_namespaces(data: bytes) -> dict[int, str]:
    """Parse the lines of file system nsfs whose root is `net:[inode]`."""
    found: dict[int, str] = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if " - nsfs " not in line:
            continue
        fields = line.split(" ")
        try:
            if not fields[_ROOT].startswith("net:"):
                continue
            found[ns.parse_net(fields[_ROOT])] = _plain(fields[_MOUNT_POINT])
        except (IndexError, KernelError):
            raise Malformed("mountinfo") from None
    return found


@dataclass(frozen=True, slots=True)
class CgroupMount:
    """One mounted hierarchy.

    Attributes:
        point: where, seen from the process's root.
        top: the cgroup that is shown there, seen from the reader's cgroup namespace; `/` for the whole.
        controllers: its mount options, the names of v1 controllers among them.
        unified: whether it is cgroup v2.
    """

    point: str
    top: str
    controllers: frozenset[str]
    unified: bool


def read_cgroups(process: ProcDirectory) -> list[CgroupMount]:
    """Read where cgroup hierarchies are mounted. Any user may."""
    return parse_cgroups(process.read("mountinfo", having=b" - cgroup"))


def parse_cgroups(data: bytes) -> list[CgroupMount]:
    """Parse the lines of file systems cgroup and cgroup2."""
    found = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        before, dash, after = line.partition(" - cgroup")
        if not dash:
            continue
        fields, (kind, *rest) = before.split(" "), after.split(" ")
        try:
            options = frozenset(rest[-1].split(","))
            found.append(CgroupMount(_plain(fields[_MOUNT_POINT]), _plain(fields[_ROOT]), options, kind == "2"))
        except IndexError:
            raise Malformed("mountinfo") from None
    return found


def reduce(data: bytes) -> bytes:
    """Keep where cgroup hierarchies are mounted, without options that take a value (a program's path may be one)."""
    lines = []
    for line in data.split(b"\n"):
        before, dash, after = line.partition(b" - cgroup")
        fields = before.split(b" ")
        if dash and len(fields) > _MOUNT_POINT:
            version, *_, options = after.split(b" ")
            plain = b",".join(option for option in options.split(b",") if b"=" not in option)
            shown = b" ".join(fields[_ROOT : _MOUNT_POINT + 1])
            lines.append(b"0 0 0:0 %b rw - cgroup%b cgroup %b\n" % (shown, version, plain))
    return b"".join(lines)


def _plain(field: str) -> str:
    return _ESCAPE.sub(lambda code: chr(int(code[1], 8)), field)
