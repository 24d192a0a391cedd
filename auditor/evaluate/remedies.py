"""What to change: the real knob, a value, what it buys, and whether anything must be restarted."""

from auditor.model import OwnerKind, Reading
from auditor.model.words import clean, count, limit

_CAP_PODS = "podPidsLimit in the kubelet's configuration caps what one pod may take"
_PID_MAX_LIMIT = 4_194_304  # PID_MAX_LIMIT on 64 bit, include/linux/threads.h


def _doubled(value: object, least: int) -> int:
    """The next power of two that at least doubles a limit."""
    wanted = max(2 * value, least) if isinstance(value, int) else least
    return 1 << (wanted - 1).bit_length()


def process_fds(reading: Reading) -> str:
    """Pods have no ulimit: the runtime's unit sets it, or the program raises its own soft limit."""
    process = reading.subject.process
    owner = reading.subject.owner
    soft = process.soft_limit if process else None
    wanted = _doubled(soft, 1024)
    hard = process.hard_limit if process else None
    raisable = hard is not None and (not isinstance(hard, int) or not isinstance(soft, int) or hard >= wanted)
    own = (
        f"the program may raise its own soft limit (hard limit {limit(hard)}) with setrlimit, or"
        if raisable
        else f"its hard limit is {limit(hard)}:"
    )
    if owner is not None and owner.kind is OwnerKind.UNIT:
        return f"{own} set LimitNOFILE={wanted} in `systemctl edit {clean(owner.id)}` and restart the unit"
    if owner is not None and owner.kind is OwnerKind.HOST:
        return f"{own} raise it where the program is started (ulimit -n {wanted}) and restart it"
    return (
        f"{own} set LimitNOFILE={wanted} in the container runtime's unit (or `default_ulimits` of CRI-O), restart the "
        "runtime and then the pod; a limit raised later does not reach running containers. "
        "If the count only ever grows, it is a leak: restart the pod"
    )


def file_handles(reading: Reading) -> str:
    """fs.file-max, at the price of about 1 KiB of kernel memory for each description in use."""
    wanted = _doubled(reading.maximum, 65_536)
    return f"sysctl -w fs.file-max={wanted} (room for {count(wanted)} open files; takes effect at once, no restart)"


def inotify_instances(reading: Reading) -> str:
    """fs.inotify.max_user_instances."""
    wanted = max(512, _doubled(reading.maximum, 512))
    return (
        f"sysctl -w fs.inotify.max_user_instances={wanted} ({count(wanted)} instances for each user; takes effect at "
        "once, no restart)"
    )


def pids(reading: Reading) -> str:
    """kernel.pid_max, up to the kernel's own end."""
    wanted = min(_doubled(reading.maximum, 65_536), _PID_MAX_LIMIT)
    if isinstance(reading.maximum, int) and reading.maximum >= _PID_MAX_LIMIT:
        return f"pid_max is at the kernel's end ({count(_PID_MAX_LIMIT)}): {_CAP_PODS}"
    return f"sysctl -w kernel.pid_max={wanted} (takes effect at once); {_CAP_PODS}"


def threads(reading: Reading) -> str:
    """kernel.threads-max."""
    wanted = _doubled(reading.maximum, 65_536)
    return f"sysctl -w kernel.threads-max={wanted} (takes effect at once); {_CAP_PODS}"


def aio(reading: Reading) -> str:
    """fs.aio-max-nr; each event takes kernel memory only once a context is made for it."""
    wanted = _doubled(reading.maximum, 1_048_576)
    return f"sysctl -w fs.aio-max-nr={wanted} (room for {count(wanted)} events; takes effect at once, no restart)"


def ptys(reading: Reading) -> str:
    """kernel.pty.max, of which kernel.pty.reserve is the host's alone."""
    wanted = _doubled(reading.maximum, 8192)
    return (
        f"close forgotten sessions, or sysctl -w kernel.pty.max={wanted} (less kernel.pty.reserve, which only the host "
        "may use; takes effect at once, no restart)"
    )


def time_wait(reading: Reading) -> str:
    """net.ipv4.tcp_max_tw_buckets of that namespace."""
    wanted = _doubled(reading.maximum, 16_384)
    where = "in the pod's network namespace" if reading.subject.owner else "on the host"
    return (
        f"reuse connections (keep-alive, a pool), or sysctl -w net.ipv4.tcp_max_tw_buckets={wanted} {where} "
        "(takes effect at once; beyond the limit the kernel closes connections without TIME_WAIT)"
    )
