"""Limits of one network namespace or listener: no setting of the node helps, but one of the pod or of the program does."""

from collections.abc import Iterator, Mapping

from auditor.model.words import count, place
from auditor.report import shape
from auditor.report.capacity import Members
from auditor.report.observation import LimitRecord

_WIDEST_RANGE = "1024 65535"
_WIDEST_PORTS = 65_535 - 1024 + 1
_LEAST_BACKLOG = 1024


def recommend(groups: Mapping[str, Members], headroom: int) -> Iterator[shape.Recommendation]:
    """Yield what helps the fullest namespace and the fullest listener of each pool, where too little is left."""
    for pool, group in sorted(groups.items()):
        rows = [row for node in group.nodes for row in node.limits] + group.past
        for limit in ("ephemeral-ports", "listen-backlog"):
            full = [row for row in rows if row.name == limit and (row.peak_percent or 0) > 100 - headroom]
            if full:
                worst = max(full, key=lambda row: (row.peak_percent or 0, row.scope))
                yield _ports(pool, worst) if limit == "ephemeral-ports" else _backlog(pool, worst)


def _ports(pool: str, row: LimitRecord) -> shape.Recommendation:
    peak, now = row.most or 0, row.limit or 0
    reuse = "reuse connections (keep-alive, a pool) or spread them over more addresses of the destination"
    wider = f'net.ipv4.ip_local_port_range="{_WIDEST_RANGE}" in the network namespace of {place(row.scope)} '
    wider += "(of a pod: securityContext.sysctls, and make it anew)"
    has_more = now < _WIDEST_PORTS
    left = 100 * max(0, _WIDEST_PORTS - peak) // _WIDEST_PORTS
    return shape.Recommendation(
        kind="network",
        pool=pool,
        limit=row.name,
        peak=peak,
        now=now,
        recommended=max(now, _WIDEST_PORTS),
        setting=f"{wider}; or {reuse}" if has_more else reuse,
        buys=f"{left} % headroom at the peak of {count(peak)}" if has_more else "the range is as wide as it can be",
    )


def _backlog(pool: str, row: LimitRecord) -> shape.Recommendation:
    """A full queue holds the backlog and one more."""
    peak, wanted = row.most or 0, max(_LEAST_BACKLOG, 2 * ((row.limit or 1) - 1))
    return shape.Recommendation(
        kind="network",
        pool=pool,
        limit=row.name,
        peak=peak,
        now=row.limit,
        recommended=wanted,
        setting=f"a backlog of {wanted} in listen() of {row.scope} and net.core.somaxconn={wanted} in its network namespace "
        "(of a pod: securityContext.sysctls, and make it anew); first let it accept faster",
        buys=f"{100 * max(0, wanted - peak) // wanted} % headroom at the peak of {count(peak)}",
    )
