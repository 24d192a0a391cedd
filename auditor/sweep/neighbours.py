"""A closer look at neighbour tables that are half full: whose the entries are, and which of them count."""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace

from auditor.kernel import neigh, netns
from auditor.kernel.neigh import Entries
from auditor.model import Pool
from auditor.sweep.pools import Pools, is_near

LIMIT = "neighbours"
_FAMILIES = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6}


def look_closer(found: Pools, doors: Mapping[int, Iterable[str]], own: int | None) -> tuple[Pools, float]:
    """Take away what the garbage collector leaves alone, and count the rest by network namespace.

    Only of a table that is half full: every dump walks the one table of all namespaces.

    Args:
        found: pools of the node.
        doors: paths that lead to each namespace, by inode.
        own: inode of the caller's namespace.

    Returns:
        The pools, and the CPU seconds it took.
    """
    near = [pool.scope for pool in found.found if _is_near(pool)]
    if not near:
        return found, 0.0
    visits, seconds = netns.visit(
        doors.items(), lambda _: {scope: neigh.dump(_FAMILIES[scope]) for scope in near}, own=own
    )
    by_netns = {visit.inode: visit.result for visit in visits if visit.result is not None}
    closer = tuple(_closer(pool, by_netns) if _is_near(pool) else pool for pool in found.found)
    return replace(found, found=closer), seconds


def _is_near(pool: Pool) -> bool:
    return pool.limit == LIMIT and is_near(pool)


def _closer(pool: Pool, by_netns: Mapping[int, Mapping[str, Entries]]) -> Pool:
    exempt = sum(entries[pool.scope].exempt for entries in by_netns.values())
    bound = {inode: entries[pool.scope].bound for inode, entries in by_netns.items()}
    return replace(pool, used=max(0, (pool.used or 0) - exempt), by_netns={key: n for key, n in bound.items() if n})
