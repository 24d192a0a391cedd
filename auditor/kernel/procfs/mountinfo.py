"""/proc/PID/mountinfo, proc_pid_mountinfo(5): network namespaces that a mount keeps alive (`ip netns`, CNI)."""

import re

from auditor.kernel.errors import KernelError, Malformed
from auditor.kernel.procfs import ns
from auditor.kernel.root import ProcDirectory

_ESCAPE = re.compile(r"\\([0-7]{3})")
_ROOT, _MOUNT_POINT = 3, 4


def read_namespaces(process: ProcDirectory) -> dict[int, str]:
    """Read where network namespaces are mounted, by inode. Any user may."""
    return parse_namespaces(process.read("mountinfo", records=True))


def parse_namespaces(data: bytes) -> dict[int, str]:
    """Parse the lines of file system nsfs whose root is `net:[inode]`."""
    found = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if " - nsfs " not in line:
            continue
        fields = line.split(" ")
        try:
            if not fields[_ROOT].startswith("net:"):
                continue
            found[ns.parse_net(fields[_ROOT])] = _ESCAPE.sub(lambda code: chr(int(code[1], 8)), fields[_MOUNT_POINT])
        except (IndexError, KernelError):
            raise Malformed("mountinfo") from None
    return found
