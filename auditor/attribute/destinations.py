"""Where connections go, and whose they are."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from auditor.attribute.cgroup import HOST
from auditor.attribute.greatest import greatest_of
from auditor.attribute.spaces import Spaces
from auditor.model import LEAST_OF_A_SAMPLE, EgressUsage, NodeSample, Owner, PortUsage, Process, SocketGroup

_DESTINATIONS_MAX = 5


def ports_by_destination(sample: NodeSample, spaces: Spaces, processes: Mapping[int, Process]) -> Iterator[PortUsage]:
    """Name who has connections to each destination, going by the peers of what each process holds.

    Of a sample one connection says too little: it may stand for one as well as for many.
    """
    owner_of = spaces.owner_of
    asked = {use.netns for use in sample.ports if use.address is not None}
    groups: defaultdict[int | None, list[SocketGroup]] = defaultdict(list)
    for group in sample.sockets if asked else ():  # there may be very many, and many uses
        if group.netns in asked and group.peers:
            groups[group.netns].append(group)
    for use in sample.ports:
        takers: Counter[Owner] = Counter()
        looked_at: Counter[Owner] = Counter()
        held: Counter[int] = Counter()
        for group in groups[use.netns] if use.address is not None else ():
            there = [one for one in group.peers if (one.address, one.port) == (use.address, use.port)]
            number, seen = sum(one.count for one in there), sum(one.looked_at for one in there)
            holders = [pid for pid in group.holders or () if pid in owner_of] if there else []
            for owner in {owner_of[pid] for pid in holders}:
                takers[owner] += number
                looked_at[owner] += seen
            for pid in holders:
                held[pid] += number
        estimated = frozenset(owner for owner, number in takers.items() if number != looked_at[owner])
        yield PortUsage(
            use,
            spaces.space(use.netns),
            spaces.owner(use.netns),
            takers={
                owner: number
                for owner, number in takers.items()
                if owner not in estimated or looked_at[owner] >= LEAST_OF_A_SAMPLE
            },
            estimated=estimated,
            greatest=greatest_of(held, owner_of, processes),
        )


def egress_by_destination(
    sample: NodeSample, owner_of: Mapping[int, Owner], answers_for: Mapping[int, Owner]
) -> tuple[EgressUsage, ...]:
    """Add up the connections of all namespaces to each destination outside; those that most of them go to.

    What no descriptor leads to (TIME_WAIT) belongs to who answers for its namespace. What several owners hold counts once
    in each, and once in the sum.
    """
    sums: Counter[tuple[str, int]] = Counter()
    for one in sample.egress:
        sums[one.address, one.port] += one.connections
    most = dict(sums.most_common(_DESTINATIONS_MAX))
    takers: dict[tuple[str, int], Counter[Owner]] = {end: Counter() for end in most}
    for one in sample.egress:
        if (one.address, one.port) in takers:
            owners = {owner_of[pid] for pid in one.holders or () if pid in owner_of}
            for owner in owners or {answers_for.get(one.netns or 0, HOST.owner)}:
                takers[one.address, one.port][owner] += one.connections
    return tuple(EgressUsage(*end, used, takers[end]) for end, used in most.items())
