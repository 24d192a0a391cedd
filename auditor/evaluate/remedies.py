"""What to change: the real knob, a value, what it buys, and whether anything must be restarted."""

import os

from auditor.model import Drops, OwnerKind, Reading
from auditor.model.words import clean, count, limit, owner_name

_CAP_PODS = "podPidsLimit in the kubelet's configuration caps what one pod may take"
_PID_MAX_LIMIT = 4_194_304  # PID_MAX_LIMIT on 64 bit, include/linux/threads.h

_SPACES = {
    OwnerKind.POD: "the pod's network namespace",
    OwnerKind.CONTAINER: "the container's network namespace",
    OwnerKind.UNIT: "the unit's network namespace",
}
_WIDEST_RANGE = "10240 65535"  # above what services listen on by habit
_RUNS = {"docker": "docker run", "podman": "podman run", "containerd": "nerdctl run"}
_UPDATES = {"docker": "docker update", "podman": "podman update", "containerd": "nerdctl update"}
_CONNTRACK_BYTES = 320  # struct nf_conn and its two hash entries


def _doubled(value: object, least: int) -> int:
    """The next power of two that at least doubles a limit."""
    wanted = max(2 * value, least) if isinstance(value, int) else least
    return 1 << (wanted - 1).bit_length()


def process_fds(reading: Reading) -> str:
    """Pods have no ulimit: the runtime's unit sets it, or the program raises its own soft limit. Other containers have one."""
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
    if owner is not None and owner.kind is OwnerKind.CONTAINER:
        run = _RUNS.get(reading.subject.runtime or "", "docker run or podman run")
        return (
            f"{own} make the container anew with {run} --ulimit nofile={wanted}; "
            "if the count only ever grows, it is a leak: restart the container"
        )
    return (
        f"{own} set LimitNOFILE={wanted} in the container runtime's unit (or `default_ulimits` of CRI-O), restart the "
        "runtime and then the pod; a limit raised later does not reach running containers. "
        "If the count only ever grows, it is a leak: restart the pod"
    )


def fd_leak(reading: Reading) -> str:
    """Restart the pod before the end; a higher limit only puts it off."""
    what = "pod" if reading.subject.owner is not None and reading.subject.owner.kind is OwnerKind.POD else "program"
    return (
        f"restart the {what} before the end, which frees them, and find what it opens and never closes; "
        "a higher limit only puts the end off"
    )


def close_wait_leak(_reading: Reading) -> str:
    """The application closes what its peer has closed: no setting of the kernel does."""
    return (
        "no sysctl ends CLOSE_WAIT: the application has to close a connection once it reads its end (look at timeouts "
        "and at error paths of its client or pool); a restart frees what has leaked so far"
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


def inotify_watches(reading: Reading) -> str:
    """fs.inotify.max_user_watches; each watch in use takes about 1 KiB of kernel memory."""
    wanted = _doubled(reading.maximum, 524_288)
    return (
        f"sysctl -w fs.inotify.max_user_watches={wanted} ({count(wanted)} watches for each user, about 1 KiB of memory "
        "for each in use; takes effect at once, no restart)"
    )


def epoll_watches(reading: Reading) -> str:
    """fs.epoll.max_user_watches; each watch in use takes about 160 bytes of kernel memory."""
    wanted = _doubled(reading.maximum, 1_048_576)
    return (
        f"sysctl -w fs.epoll.max_user_watches={wanted} ({count(wanted)} watches for each user; takes effect at once, "
        "no restart)"
    )


def keys(reading: Reading) -> str:
    """kernel.keys.maxkeys or maxbytes; for root root_maxkeys and root_maxbytes."""
    what, least = ("maxbytes", 25_000) if reading.scope.endswith("bytes") else ("maxkeys", 1000)
    root = "root_" if reading.scope.split(" ")[:2] == ["user", "0"] else ""
    wanted = _doubled(reading.maximum, least)
    return (
        f"sysctl -w kernel.keys.{root}{what}={wanted} (takes effect at once, no restart); containers of one user share "
        "it, and each takes a session keyring unless the runtime is told not to"
    )


def pids(reading: Reading) -> str:
    """kernel.pid_max, up to the kernel's own end; of a pod podPidsLimit of the kubelet, of a unit its TasksMax."""
    if reading.scope != "node":
        return _cgroup_pids(reading)
    wanted = min(_doubled(reading.maximum, 65_536), _PID_MAX_LIMIT)
    if isinstance(reading.maximum, int) and reading.maximum >= _PID_MAX_LIMIT:
        return f"pid_max is at the kernel's end ({count(_PID_MAX_LIMIT)}): {_CAP_PODS}"
    return f"sysctl -w kernel.pid_max={wanted} (takes effect at once); {_CAP_PODS}"


def _cgroup_pids(reading: Reading) -> str:
    wanted = _doubled(reading.maximum, 256)
    owner = reading.subject.owner
    if owner is not None and owner.kind is OwnerKind.POD:
        return (
            "if the count only ever grows, the program leaks processes or threads: restart the pod; else raise "
            f"podPidsLimit to {wanted} in the kubelet's configuration, restart the kubelet, then the pod"
        )
    if owner is not None and owner.kind is OwnerKind.UNIT:
        return f"systemctl set-property {clean(owner.id)} TasksMax={wanted} (takes effect at once, no restart)"
    update = _UPDATES.get(reading.subject.runtime or "")
    if owner is not None and update:
        return f"{update} --pids-limit {wanted} {clean(owner.id)[:12]} (takes effect at once, no restart)"
    if "kubepods" in reading.scope:
        return (
            "what all pods may run is pid_max less the pids that kubeReserved and systemReserved keep back: lower "
            f"these in the kubelet's configuration or raise kernel.pid_max, and restart the kubelet; {_CAP_PODS}"
        )
    return f"write {wanted} to its pids.max, or TasksMax={wanted} of the slice it belongs to (takes effect at once)"


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


def orphans(reading: Reading) -> str:
    """net.ipv4.tcp_max_orphans; each orphan may take up to 64 KiB that cannot be swapped."""
    wanted = _doubled(reading.maximum, 8192)
    return (
        f"find who closes connections with data unsent, or sysctl -w net.ipv4.tcp_max_orphans={wanted} "
        f"(up to {count(wanted // 16)} MiB of memory; takes effect at once, no restart)"
    )


def tcp_memory(reading: Reading) -> str:
    """net.ipv4.tcp_mem, in pages: low, pressure, maximum."""
    return _memory("net.ipv4.tcp_mem", reading, "read from the sockets that queue, or")


def udp_memory(reading: Reading) -> str:
    """net.ipv4.udp_mem, in pages: low, pressure, maximum."""
    return _memory("net.ipv4.udp_mem", reading, "let the receivers read faster, or")


def _memory(name: str, reading: Reading, first: str) -> str:
    maximum = 2 * reading.maximum if isinstance(reading.maximum, int) else 0
    pressure = 2 * reading.pressure if reading.pressure is not None else maximum * 2 // 3
    mebibytes = maximum * os.sysconf("SC_PAGE_SIZE") >> 20  # 64 KiB on some kernels for ARM and POWER
    return (
        f'{first} sysctl -w {name}="{pressure * 3 // 4} {pressure} {maximum}" (up to {count(mebibytes)} MiB of memory; '
        "takes effect at once, no restart)"
    )


def neighbours(reading: Reading) -> str:
    """gc_thresh3 of the address family, with gc_thresh2 and gc_thresh1 below it."""
    family = "ipv6" if "IPv6" in reading.scope else "ipv4"
    wanted = _doubled(reading.maximum, 4096)
    settings = " ".join(f"net.{family}.neigh.default.gc_thresh{number}={wanted >> 3 - number}" for number in (1, 2, 3))
    return f"sysctl -w {settings} (on the host, for all pods; takes effect at once, no restart)"


def listen_backlog(reading: Reading) -> str:
    """The backlog of listen(), which net.core.somaxconn of that network namespace caps when it is called."""
    if " unix:" in reading.scope:
        return "accept faster (more workers, no blocking call between two accepts), or a longer backlog in listen()"
    return _accept_faster(reading)


def listen_queue_full(drops: Drops) -> str:
    """The same."""
    return _accept_faster(drops)


def time_wait_overflow(drops: Drops) -> str:
    """net.ipv4.tcp_max_tw_buckets of that namespace, or fewer connections."""
    return _more_buckets(drops)


def udp_receive_drops(drops: Drops) -> str:
    """SO_RCVBUF, which net.core.rmem_max caps; it is the host's in every network namespace."""
    return (
        f"let {owner_name(drops.subject.owner, drops.subject.identity)} read faster (more threads, SO_REUSEPORT), or give "
        "its socket a larger SO_RCVBUF, which net.core.rmem_max of the host caps (at once; the program sets it when it "
        "opens the socket); a program that sets none has net.core.rmem_default"
    )


def _accept_faster(one: Reading | Drops) -> str:
    backlog = one.maximum - 1 if isinstance(one.maximum, int) else None
    wanted = _doubled(backlog, 1024)
    somaxconn = f"net.core.somaxconn={wanted}"
    if _is_of_a_pod(one):
        somaxconn = f"{somaxconn} of the pod (securityContext.sysctls)"
    else:
        command, where = _sysctl(somaxconn, one)
        somaxconn = f"{command} ({where})"
    return (
        f"accept faster (more workers, no blocking call between two accepts); for bursts a backlog of {wanted} in the "
        f"program's listen() and {somaxconn}, and restart the program"
    )


def conntrack(reading: Reading) -> str:
    """net.netfilter.nf_conntrack_max, on the host; kube-proxy sets it from conntrack.maxPerCore and .min."""
    wanted = _doubled(reading.maximum, 131_072)
    mebibytes = wanted * _CONNTRACK_BYTES >> 20
    return (
        f"sysctl -w net.netfilter.nf_conntrack_max={wanted} on the host (about {count(mebibytes)} MiB when full; takes "
        "effect at once, no restart); kube-proxy sets it anew from conntrack.maxPerCore when it starts"
    )


def ephemeral_ports(reading: Reading) -> str:
    """A wider range, reuse of connections or of TIME_WAIT, more destinations; of what is bound first, one socket option."""
    use = reading.ports
    setting = f'net.ipv4.ip_local_port_range="{_WIDEST_RANGE}"'
    if _is_of_a_pod(reading):
        wider = f"set {setting} of the pod (securityContext.sysctls, a safe one; the pod has to be made anew)"
    else:
        command, where = _sysctl(setting, reading)
        wider = f"{command} ({where}; takes effect at once)"
    if use is not None and use.protocol == "udp":
        return f"share UDP sockets between requests (a resolver's cache helps), or {wider}"
    if use is not None and use.address is None and use.source is not None:
        return (
            f"set IP_BIND_ADDRESS_NO_PORT before bind(), and each destination has the whole range to itself, or {wider}"
        )
    if use is not None and use.own_range:
        wider = "set a wider IP_LOCAL_PORT_RANGE in the program"
    waits = use is not None and 2 * use.time_wait >= use.used and use.reuse != 1
    reuse = ", or {} ({})".format(*_sysctl("net.ipv4.tcp_tw_reuse=1", reading)) if waits else ""
    return (
        "reuse connections (keep-alive, a pool), spread them over more addresses or ports of the destination, or "
        f"{wider}{reuse}"
    )


def snat_ports(reading: Reading) -> str:
    """Fewer connections, more ports, or a way around the NAT. No sysctl of the node matters."""
    return (
        "reuse connections (keep-alive, a pool) in whoever holds most, give the node more SNAT ports than "
        f"{limit(reading.maximum)} (NAT gateway or load balancer; then agent.snatPorts of the chart), or reach the destination "
        "by a private endpoint"
    )


def time_wait(reading: Reading) -> str:
    """net.ipv4.tcp_max_tw_buckets of that namespace."""
    return _more_buckets(reading)


def _more_buckets(one: Reading | Drops) -> str:
    command, where = _sysctl(f"net.ipv4.tcp_max_tw_buckets={_doubled(one.maximum, 16_384)}", one)
    return (
        f"reuse connections (keep-alive, a pool), or {command} ({where}; takes effect at once; beyond the limit the kernel "
        "closes connections without TIME_WAIT)"
    )


def _is_of_a_pod(one: Reading | Drops) -> bool:
    """Whether it is about a pod's own network namespace, which its manifest sets up; one of the host network has none."""
    owner = one.subject.owner
    return owner is not None and owner.kind is OwnerKind.POD and not (one.space and one.space.is_host)


def _sysctl(setting: str, one: Reading | Drops) -> tuple[str, str]:
    """Return how to set what each network namespace has for itself, and where: what is set on the host is not set there."""
    space, owner = one.space, one.subject.owner
    if space.is_host if space else one.scope.split(" ")[0] == "host":
        return f"sysctl -w {setting}", "on the host"
    kind = owner.kind if owner else OwnerKind.HOST
    where = (
        f"in {_SPACES[kind]}"
        if kind in _SPACES
        else f"in network namespace {space.inode}"
        if space
        else "in its network namespace"
    )
    if kind is OwnerKind.CONTAINER:
        run = _RUNS.get(one.subject.runtime or "", "docker run or podman run")
        where = f"{where}, until it is made anew: {run} --sysctl then"
    if space is None or space.process is None:
        return f"sysctl -w {setting}", f"{where}, by way of nsenter --net"
    return f"nsenter --target {space.process.pid} --net sysctl -w {setting}", where
