"""Reading the objects of a whole cluster, page by page."""

import sys
import time
from collections.abc import Iterator

from auditor.kube.client import ApiError, Client, Json, connect
from auditor.publish.object import GROUP, PLURAL, VERSION
from auditor.report.files import FileError
from auditor.report.observation import Malformed, NodeRecord, record
from auditor.report.window import Window, window

_PAGE = 250  # objects: 4 MiB as a rule, and far under the client's 32 MiB at their largest
_OBJECTS = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
_NODES = "/api/v1/nodes"
_EXPIRED = 410


def read(context: str | None, kubeconfig: str | None = None) -> tuple[Window, str]:
    """Read all SockAudits and the names of all nodes.

    Returns:
        What was found, and the server.

    Raises:
        FileError: no cluster answers, or it refuses.
    """
    try:
        client = connect(context, kubeconfig)
        return _read(client), client.server
    except ApiError as error:
        raise FileError(_words(error)) from None


def _read(client: Client) -> Window:
    found: list[NodeRecord] = []
    refused: list[str] = []
    for document in _items(client, _OBJECTS, "SockAudits"):
        try:
            found.append(record(document))
        except Malformed as error:
            refused.append(str(error))
    nodes = []
    try:
        nodes = [
            str(one["metadata"]["name"])
            for one in _items(client, _NODES, "nodes", metadata_only=True)
            if isinstance(one.get("metadata"), dict)
        ]
    except ApiError as error:
        refused.append(f"nodes cannot be listed, so none is known to be missing: {error}")
    return window([found], now=time.time(), expected=nodes, refused=refused)


def _items(client: Client, path: str, what: str, *, metadata_only: bool = False) -> Iterator[Json]:
    """Yield the items of a collection, page by page, and say how far it is on a terminal."""
    params, seen = {"limit": str(_PAGE)}, 0
    while True:
        page = client.get(path, params, metadata_only=metadata_only)
        items = page.get("items")
        for one in items if isinstance(items, list) else ():
            if isinstance(one, dict):
                yield one
                seen += 1
        metadata = page.get("metadata")
        after = metadata.get("continue") if isinstance(metadata, dict) else None
        if sys.stderr.isatty():
            left = metadata.get("remainingItemCount", 0) if isinstance(metadata, dict) else 0
            sys.stderr.write(f"\r{what}: {seen:,} of {seen + int(left or 0):,}" + ("" if after else "\n"))
        if not after:
            return
        params["continue"] = str(after)


def _words(error: ApiError) -> str:
    if error.reason == "NoResource":
        return "this cluster has no SockAudits: install the chart first, or read a saved list with --from FILE."
    if error.status == _EXPIRED:
        return "the list grew too old while it was read. Try again, or save one with kubectl get sockaudits -o json."
    return f"{error}. Use --from FILE to read a saved list, or check --context."
