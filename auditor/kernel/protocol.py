"""The protocol of a socket, told by the extended attribute system.sockprotoname of its descriptor (net/socket.c)."""

import errno
import os

from auditor.kernel.errors import Absent, Denied, Gone, Malformed

_ATTRIBUTE = "system.sockprotoname"
_ABSENT = (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS)


def read(path: str) -> str:
    """Read the kernel's name of the protocol behind /proc/PID/fd/N: TCP, TCPv6, UDP, UNIX, UNIX-STREAM, NETLINK, MPTCP.

    Raises:
        Gone: the descriptor was closed. Absent: it is no socket, or no live kernel answers.
        Denied: another's process without CAP_SYS_PTRACE. Malformed: any other failure.
    """
    try:
        return os.getxattr(path, _ATTRIBUTE).rstrip(b"\0").decode("ascii", "replace")
    except (FileNotFoundError, ProcessLookupError):
        raise Gone(path) from None
    except PermissionError:
        raise Denied(path) from None
    except OSError as error:
        raise (Absent if error.errno in _ABSENT else Malformed)(path) from None


def family(name: str) -> str:
    """Reduce the kernel's name to tcp, udp, unix or other."""
    upper = name.upper().removesuffix("V6")
    if upper == "TCP":
        return "tcp"
    if upper.startswith("UDP"):
        return "udp"
    return "unix" if upper.startswith("UNIX") else "other"
