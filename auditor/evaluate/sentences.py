"""One sentence a finding: who, how much of what, and what happens next."""

from auditor.evaluate.causes import Cause
from auditor.model import Drops, Flows, Kind, OwnerKind, Reading
from auditor.model.words import TOWARDS, clean, count, duration, endpoint, limit, owner_name, place
from auditor.remember import Rate, Trend

_WORTH_NAMING = 10  # percent of tracked connections
_PER_MINUTE, _PER_HOUR, _PER_DAY = 60, 3600, 86_400


def fd_leak(reading: Reading, trend: Trend, now: float, cause: Cause) -> str:
    """Who, how much, how fast, until when, and what most of it is."""
    return f"{process_fds(reading)}, {_growth(reading, trend, now)}{_mostly(cause)}"


def close_wait_leak(reading: Reading, trend: Trend, now: float, cause: Cause) -> str:
    """Who, how many, to whom, how fast, until when."""
    subject = reading.subject
    return (
        f"{owner_name(subject.owner, subject.identity)} holds {count(reading.used or 0)} sockets in CLOSE_WAIT{_to(cause)}, "
        f"{_growth(reading, trend, now)}: the peers have closed, the application does not"
    )


def _growth(reading: Reading, trend: Trend, now: float) -> str:
    """As in `+402/min for 2 h; full in about 31 min`."""
    pace = next(
        f"+{count(round(trend.per_second * seconds))}/{unit}"
        for seconds, unit in ((_PER_MINUTE, "min"), (_PER_HOUR, "h"), (_PER_DAY, "day"))
        if trend.per_second * seconds >= 1 or unit == "day"
    )
    words = f"{pace} for {duration(trend.span)}"
    end = trend.exhausts_at(reading.maximum)
    return words if end is None else f"{words}; full in about {duration(max(0.0, end - now))}"


def _mostly(cause: Cause) -> str:
    """What at least half of the growth is, the state most of the sockets are in, and who is at their other end."""
    if cause.kind is None:
        return ""
    what = {Kind.FILE: "files", Kind.SOCKET: "sockets", Kind.PIPE: "pipes"}.get(cause.kind, cause.kind.value)
    if cause.state is not None:
        what = f"TCP sockets, most of them in {cause.state.name}{_to(cause)}"
    return f". {cause.percent} % {'of the growth is' if cause.grown else 'are'} {what}"


def _to(cause: Cause) -> str:
    return f" to {' and '.join(cause.peers)}" if cause.peers else ""


def process_fds(reading: Reading) -> str:
    """Who holds how many of the descriptors it may have."""
    subject = reading.subject
    process = subject.process
    detail = ", ".join(
        filter(
            None,
            (
                clean(subject.container or "")[:63],
                f"pid {process.pid} {clean(process.command)}" if process else "",
            ),
        )
    )
    who = owner_name(subject.owner, subject.identity) + (f" ({detail})" if detail else "")
    return f"{who} holds {_share(reading)} file descriptors{_use(reading)}"


def file_handles(reading: Reading) -> str:
    """What the whole node has open."""
    return (
        f"the node holds {_share(reading)} open files{_use(reading)}; at the limit every process without "
        'CAP_SYS_ADMIN fails with "Too many open files in system"'
    )


def inotify_instances(reading: Reading) -> str:
    """Which user, how many, and who fails next."""
    return _of_user(reading, "inotify instances", "inotify_init()", "too many open files")


def inotify_watches(reading: Reading) -> str:
    """Which user, how many, and who fails next."""
    return _of_user(reading, "inotify watches", "inotify_add_watch()", "no space left on device")


def epoll_watches(reading: Reading) -> str:
    """Which user, how many, and who fails next."""
    return _of_user(reading, "epoll watches", "epoll_ctl()", "no space left on device")


def keys(reading: Reading) -> str:
    """Which user, how many keys or bytes of them, and who fails next."""
    noun = "bytes of keys" if reading.scope.endswith("bytes") else "keys"
    return _of_user(reading, noun, "add_key()", "disk quota exceeded")


def _of_user(reading: Reading, noun: str, call: str, error: str) -> str:
    about = "about " if reading.estimate else ""
    user = " ".join(reading.scope.split(" ")[:2])
    left = max(0, reading.maximum - (reading.used or 0)) if isinstance(reading.maximum, int) else None
    then = f"{about}{count(left)} {'is' if left == 1 else 'are'} left, then " if left else ""
    who, fails = (call if left else f"the next {call}") + " of this user", "fails"
    if reading.affected:
        first = reading.affected[0]
        who, fails = owner_name(first.owner, first.identity), "fails" if left else "fails next"
        if len(reading.affected) > 1:
            who, fails = f"{who} and others of this user", "fail" if left else "fail next"
    return f'{user} holds {about}{_share(reading)} {noun}{_use(reading)}; {then}{who} {fails} with "{error}"'


def pids(reading: Reading) -> str:
    """Tasks against pid_max, or against pids.max of a cgroup."""
    if reading.scope != "node":
        return (
            f"{reading.scope} runs {_share(reading)} tasks that its cgroup allows{_use(reading)}; at the limit it can "
            "neither fork nor start a thread"
        )
    return f"the node runs {_share(reading)} tasks that kernel.pid_max allows{_use(reading)}; at the limit no process can fork"


def threads(reading: Reading) -> str:
    """Tasks against threads-max."""
    return (
        f"the node runs {_share(reading)} tasks that kernel.threads-max allows{_use(reading)}; at the limit no process "
        "can start a thread"
    )


def ephemeral_ports(reading: Reading) -> str:
    """Whose ports, how many of them, and where they went."""
    use = reading.ports
    who = place(reading.scope)
    if use is None:  # of a recording
        return f"{reading.scope}: {_share(reading)} ephemeral ports are taken{_use(reading)}"
    if use.protocol == "udp":
        return (
            f"{who} sockets{_inside(reading)} have {_share(reading)} ephemeral ports{_use(reading)}; at the limit bind() "
            "and sendto() fail"
        )
    who += _inside(reading)
    if use.address is None:
        return (
            f"{who} has taken {_share(reading)} ephemeral ports of {use.source}{_use(reading)}, each for one connection "
            'only, for the program binds before it connects; at the limit bind() fails with "address already in use"'
        )
    peer = f" ({clean(reading.peer)})" if reading.peer else ""
    waiting = f", {count(use.time_wait)} of them by connections in TIME_WAIT" if 2 * use.time_wait >= use.used else ""
    own = f" of its IP_LOCAL_PORT_RANGE {use.own_range[0]}-{use.own_range[1]}" if use.own_range else ""
    return (
        f"{who} has taken {_share(reading)} ephemeral ports{own}{_use(reading)} towards "
        f"{endpoint(use.address, use.port or 0)}{peer} from {use.source}{waiting}; at the limit connect() to it fails with "
        '"cannot assign requested address"'
    )


def snat_ports(reading: Reading) -> str:
    """How many of the node's connections go to one place outside."""
    where = reading.scope.partition(TOWARDS)[2]
    return (
        f"the node has {_share(reading)} connections that its SNAT allocation lets it have to {where}{_use(reading)}; at "
        "the limit new connections to it time out"
    )


def time_wait(reading: Reading) -> str:
    """TIME_WAIT buckets of a namespace."""
    return f"{_here(reading)} holds {_share(reading)} TIME_WAIT buckets{_use(reading)}"


def aio(reading: Reading) -> str:
    """Events of asynchronous I/O contexts."""
    return f"the node holds {_share(reading)} asynchronous I/O events{_use(reading)}; at the limit io_setup() fails with EAGAIN"


def ptys(reading: Reading) -> str:
    """Pseudo-terminals of all devpts mounts."""
    return (
        f"the node holds {_share(reading)} pseudo-terminals that containers may use{_use(reading)}; at the limit "
        "`kubectl exec -it` and the like fail with ENOSPC"
    )


def orphans(reading: Reading) -> str:
    """TCP sockets without a process."""
    return (
        f"the node holds {_share(reading)} orphaned TCP connections{_use(reading)}; beyond the limit the kernel resets "
        "them, and what they had left to send is lost"
    )


def tcp_memory(reading: Reading) -> str:
    """Pages of TCP."""
    return _memory("TCP", reading, "new connections fail and data is dropped, in every pod")


def udp_memory(reading: Reading) -> str:
    """Pages of UDP."""
    return _memory("UDP", reading, "datagrams are dropped, DNS answers among them, in every pod")


def _memory(protocol: str, reading: Reading, end: str) -> str:
    mark = ""
    if reading.pressure is not None and reading.used is not None and reading.used >= reading.pressure:
        mark = f", past the pressure mark of {count(reading.pressure)}"
    return f"{protocol} sockets hold {_share(reading)} pages of memory{_use(reading)}{mark}; at the limit {end}"


def neighbours(reading: Reading) -> str:
    """ARP and NDISC entries."""
    family = reading.scope.removeprefix("node").strip()
    return (
        f"the node holds about {_share(reading)} {family} neighbour entries{_use(reading)}; at the limit no new peer "
        'of the local network is reached ("neighbour table overflow")'
    )


def conntrack(reading: Reading) -> str:
    """Tracked connections of a namespace."""
    return (
        f"{_here(reading)} tracks {_share(reading)} connections{_use(reading)}; at the limit the first packet of a new "
        f'connection is dropped ("nf_conntrack: table full"){_tracked(reading.flows)}'
    )


def _tracked(flows: Flows | None) -> str:
    """As in `. 62 % are TIME_WAIT; 40 % go to 10.0.0.10:53 (udp)`."""
    if flows is None or not flows.sampled or not flows.states or not flows.destinations:
        return ""
    state, many = flows.states[0]
    address, port, protocol, number = flows.destinations[0]
    most = f". {100 * many // flows.sampled} % are {state}"
    percent = 100 * number // flows.sampled
    return f"{most}; {percent} % go to {endpoint(address, port)} ({protocol})" if percent >= _WORTH_NAMING else most


def listen_backlog(reading: Reading) -> str:
    """Connections that wait to be accepted."""
    if not reading.where:  # of a recording
        return f"{reading.scope}: {_share(reading)} connections wait to be accepted{_use(reading)}"
    return (
        f"{_who(reading)} listens on {reading.where} with {_share(reading)} connections waiting to be accepted{_use(reading)}; "
        "beyond that the kernel drops new ones, and clients time out"
    )


def listen_queue_full(drops: Drops, rate: Rate) -> str:
    """Who drops how many connections."""
    return (
        f"{_who(drops)} drops connections to {drops.where}, {_pace(rate)}: {_share(drops)} wait to be accepted, and "
        "who is dropped tries again after 1 s, 3 s, 7 s"
    )


def time_wait_overflow(drops: Drops, rate: Rate) -> str:
    """Where TIME_WAIT is skipped."""
    return (
        f"{_here(drops)} closes connections without TIME_WAIT, {_pace(rate)}, for {_share(drops)} buckets are taken; a late "
        "segment may then end up in a new connection"
    )


def udp_receive_drops(drops: Drops, rate: Rate) -> str:
    """Who drops how many datagrams."""
    return f"{_who(drops)} drops datagrams to {drops.where}, {_pace(rate)}: its receive buffer is full when they come"


def _who(one: Reading | Drops) -> str:
    if _is_nobodys(one) and one.space is not None:
        return f"netns {one.space.inode}{_inside(one)}"
    return owner_name(one.subject.owner, one.subject.identity)


def _is_nobodys(one: Reading | Drops) -> bool:
    """Whether it is about a network namespace that is neither the host's nor called after an owner."""
    owner = one.subject.owner
    return one.space is not None and not one.space.is_host and (owner is None or owner.kind is OwnerKind.HOST)


def _here(one: Reading | Drops) -> str:
    return f"{one.scope}{_inside(one)}"


def _inside(one: Reading | Drops) -> str:
    """Name a process that is in such a namespace: its number alone leads nowhere."""
    process = one.space.process if one.space and _is_nobodys(one) else None
    return f" (pid {process.pid} {clean(process.command)})" if process else ""


def _pace(rate: Rate) -> str:
    per_minute = rate.per_second * _PER_MINUTE
    pace = f"{count(round(per_minute))}/min" if per_minute >= 1 else f"{count(rate.lost)} in all"
    return f"{pace} for {duration(rate.at - rate.since)}"


def _share(reading: Reading | Drops) -> str:
    used = "an unknown number" if reading.used is None else count(reading.used)
    return f"{used} of {limit(reading.maximum)}"


def _use(reading: Reading) -> str:
    return "" if reading.percent is None else f" ({reading.percent} %)"
