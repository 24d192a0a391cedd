"""From usage to the rows of pods, of other owners, and of workloads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from auditor.model import Assessment, ContainerUsage, Kind, OwnerKind, OwnerUsage, ProcessUse, SocketUse, TcpState
from auditor.model.words import bounded, clean
from auditor.publish import object as shape
from auditor.publish.fields import maybe, name_of, number_of
from auditor.publish.refused import Refused


def pod(row: OwnerUsage, assessment: Assessment) -> shape.Pod:
    """Write what one pod holds."""
    identity = row.identity
    peak = assessment.fds_peaks.get(row.owner)
    return shape.Pod(
        namespace=maybe(name_of, identity.namespace if identity else None),
        name=maybe(name_of, identity.name if identity else None),
        uid=name_of(row.owner.id),
        workload=name_of("/".join(identity.workload)) if identity and identity.workload else None,
        host_network=identity.host_network if identity else None,
        qos_class=row.qos,
        fds_peak=peak.value if peak else None,
        containers=[_container(container) for container in row.containers[:64]],
        **_held(row),
    )


def other(row: OwnerUsage) -> shape.Other:
    """Write what another owner holds."""
    return shape.Other(
        kind=_outside(row.owner.kind),
        name=name_of(row.owner.id) if row.owner.id else None,
        runtime=next((container.runtime for container in row.containers), None),
        processes=row.processes,
        threads=row.threads,
        **_held(row),
    )


def _outside(kind: OwnerKind) -> shape.OutsideKind:
    words: dict[OwnerKind, shape.OutsideKind] = {
        OwnerKind.UNIT: "Unit",
        OwnerKind.CONTAINER: "Container",
        OwnerKind.HOST: "Host",
        OwnerKind.KERNEL: "Kernel",
    }
    return words[kind]


def _held(row: OwnerUsage) -> dict[str, Any]:
    return {
        "fds": row.fds,
        "open_descriptions": row.descriptions,
        "kinds": maybe(_kinds, row.kinds),
        "sockets": maybe(_sockets, row.sockets),
        "worst_process": maybe(lambda worst: _process(worst, row.containers), row.worst),
    }


def _kinds(kinds: Mapping[Kind, int]) -> shape.Kinds:
    return shape.Kinds(**{kind.value: kinds.get(kind, 0) for kind in Kind})


def _sockets(sockets: SocketUse) -> shape.Sockets:
    tcp = sockets.tcp
    known = [state for state in TcpState if state is not TcpState.SYN_RECV or sockets.half_open]
    return shape.Sockets(
        tcp=None if tcp is None else shape.Tcp(**{state.name.lower(): tcp.get(state, 0) for state in known}),
        udp=sockets.udp,
        unix=sockets.unix,
        other=sockets.other,
    )


def _process(process: ProcessUse, containers: Iterable[ContainerUsage]) -> shape.WorstProcess:
    home = next((one for one in containers if one.worst and one.worst.pid == process.pid), None)
    return shape.WorstProcess(
        pid=process.pid,
        command=bounded(clean(process.command), 64),
        container=maybe(name_of, (home.name or home.id) if home else None),
        fds=process.fds,
        soft_limit=number_of(process.soft_limit),
        hard_limit=number_of(process.hard_limit),
        percent=process.percent,
    )


def _container(container: ContainerUsage) -> shape.Container:
    return shape.Container(
        name=maybe(name_of, container.name),
        id=maybe(name_of, container.id),
        runtime=container.runtime,
        fds=container.fds,
    )


def workloads(pods: Iterable[OwnerUsage], assessment: Assessment, refused: Refused) -> list[shape.Workload]:
    """Put pods together by their top owner, the one with the highest peak first."""
    grouped: dict[tuple[str, str, str], list[OwnerUsage]] = {}
    for row in pods:
        if row.identity and row.identity.workload:
            grouped.setdefault((row.identity.namespace, *row.identity.workload), []).append(row)
    workloads = refused.rows("workloads", lambda item: _workload(*item, assessment), grouped.items())
    return sorted(workloads, key=lambda one: (-(one.fds_peak or 0), one.namespace, one.kind, one.name))


def _workload(name: tuple[str, str, str], rows: Sequence[OwnerUsage], assessment: Assessment) -> shape.Workload:
    soft = [row.worst.soft_limit for row in rows if row.worst and isinstance(row.worst.soft_limit, int)]
    hard = [limit for row in rows for limit in _hard_limits(row)]
    peaks = [assessment.fds_peaks[row.owner].value for row in rows if row.owner in assessment.fds_peaks]
    return shape.Workload(
        namespace=name_of(name[0]),
        kind=name_of(name[1]),
        name=name_of(name[2]),
        pods=len(rows),
        fds_peak=max(peaks, default=None),
        soft_min=min(soft, default=None),
        soft_max=max(soft, default=None),
        hard_min=min(hard, default=None),
        hard_max=max(hard, default=None),
    )


def _hard_limits(row: OwnerUsage) -> Iterator[int]:
    """Yield what its containers were given; a program may give up some of it, which shows as a limit lowered."""
    for container in row.containers:
        worst = container.worst
        if container.id and worst and isinstance(worst.hard_limit, int) and not worst.lowered_itself:
            yield worst.hard_limit
