"""Collections page by page: no list of a large cluster is ever one reply."""

import sys
from collections.abc import Iterator

from auditor.kube.client import Client, Json

_PAGE = 250  # objects: 4 MiB as a rule, and far under the client's 32 MiB at their largest


def items(
    client: Client, path: str, what: str, *, metadata_only: bool = False, selector: str | None = None
) -> Iterator[Json]:
    """Yield the items of a collection, and say how far it is where stderr is a terminal.

    Args:
        client: of the cluster.
        path: of the collection.
        what: its items, for a person.
        metadata_only: without spec and status.
        selector: of labels, as kubectl's -l.

    Raises:
        ApiError: no answer, or a refusal; 410 where the list grew too old while it was read.
    """
    params, seen = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {}), 0
    while True:
        page = client.get(path, params, metadata_only=metadata_only)
        found = page.get("items")
        metadata = page.get("metadata")
        about = metadata if isinstance(metadata, dict) else {}
        for one in found if isinstance(found, list) else ():
            if isinstance(one, dict):
                yield one
                seen += 1
        after = about.get("continue")
        if sys.stderr.isatty():
            total = seen + int(about.get("remainingItemCount") or 0)
            sys.stderr.write(f"\r{what}: {seen:,} of {total:,}" + ("" if after else "\n"))
        if not after:
            return
        params["continue"] = str(after)
