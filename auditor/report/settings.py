"""Which setting of the kernel binds a limit, what is written to it, and what it takes at most."""

from collections.abc import Mapping

_SETTINGS: Mapping[str, str] = {
    "file-handles": "fs.file-max",
    "inotify-instances": "fs.inotify.max_user_instances",
    "inotify-watches": "fs.inotify.max_user_watches",
    "epoll-watches": "fs.epoll.max_user_watches",
    "pids": "kernel.pid_max",
    "threads": "kernel.threads-max",
    "aio": "fs.aio-max-nr",
    "ptys": "kernel.pty.max",
    "orphans": "net.ipv4.tcp_max_orphans",
    "time-wait": "net.ipv4.tcp_max_tw_buckets",
    "conntrack": "net.netfilter.nf_conntrack_max",
    "tcp-memory": "net.ipv4.tcp_mem",
    "udp-memory": "net.ipv4.udp_mem",
}
"""By limit, the setting that a node has for it; the others are a program's own, or several's."""

_OF_THE_NODE = {"pids": "node", "threads": "node", "time-wait": "host"}
"""Limits that smaller scopes have too, where another setting binds: pids.max of a cgroup, the sysctl of another namespace."""

_INT_MAX, _LONG_MAX = (1 << 31) - 1, (1 << 63) - 1
_LARGEST: Mapping[str, int] = {
    "kernel.pid_max": 1 << 22,  # PID_MAX_LIMIT, include/linux/threads.h
    "kernel.threads-max": 0x3FFFFFFF,  # MAX_THREADS, kernel/fork.c
    "kernel.pty.max": 1 << 20,  # NR_UNIX98_PTY_MAX, include/linux/devpts_fs.h
    "fs.file-max": _LONG_MAX,
    "fs.epoll.max_user_watches": _LONG_MAX,
    "fs.aio-max-nr": _LONG_MAX,
    "net.ipv4.tcp_mem": _LONG_MAX,
    "net.ipv4.udp_mem": _LONG_MAX,
}
"""What the kernel refuses to pass; all others are an int."""


def setting(limit: str, scope: str) -> str | None:
    """Name the setting that binds a limit in a scope; `None` where it is none of the node's, as of a pod's cgroup."""
    if limit in _OF_THE_NODE and scope != _OF_THE_NODE[limit]:
        return None
    if limit == "keys":  # scope: `user 0`, `user 1000 bytes`
        root = "root_" if scope.split(" ")[:2] == ["user", "0"] else ""
        return f"kernel.keys.{root}{'maxbytes' if scope.endswith(' bytes') else 'maxkeys'}"
    if limit == "neighbours":  # scope: `node IPv4`
        return f"net.{'ipv6' if scope.endswith('IPv6') else 'ipv4'}.neigh.default.gc_thresh3"
    return _SETTINGS.get(limit)


def largest(name: str) -> int:
    """Return the most that the kernel takes."""
    return _LARGEST.get(name, _INT_MAX)


def assignments(name: str, wanted: int) -> str:
    """Write what `sysctl -w` takes, with the figures below the maximum where there are some."""
    if name.endswith("_mem"):  # pages: low, pressure, maximum
        return f'{name}="{wanted // 2} {wanted * 2 // 3} {wanted}"'
    if name.endswith("gc_thresh3"):
        return " ".join(f"{name[:-1]}{number}={wanted >> 3 - number}" for number in (1, 2, 3))
    if name == _SETTINGS["ptys"]:  # what the object calls the limit is what the reserve leaves
        return f"{name}=$(({wanted} + $(sysctl -n kernel.pty.reserve)))"
    return f"{name}={wanted}"
