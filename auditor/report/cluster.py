"""Reading the objects of a whole cluster, page by page."""

import time

from auditor.cluster import OBJECTS, advice
from auditor.kube.access import Access
from auditor.kube.client import ApiError, Client, connect
from auditor.kube.paging import items
from auditor.report import fields
from auditor.report.files import FileError
from auditor.report.observation import Malformed, NodeRecord, record
from auditor.report.window import Window, window

_NODES = "/api/v1/nodes"


def read(access: Access) -> tuple[Window, str]:
    """Read all SockAudits and the names of all nodes.

    Returns:
        What was found, and the server.

    Raises:
        FileError: no cluster answers, or it refuses.
    """
    try:
        client = connect(access=access)
        return _read(client), client.server
    except ApiError as error:
        raise FileError(advice(error, from_file=True)) from None


def _read(client: Client) -> Window:
    found: list[NodeRecord] = []
    refused: list[str] = []
    for document in items(client, OBJECTS, "SockAudits"):
        try:
            found.append(record(document))
        except Malformed as error:
            refused.append(str(error))
    nodes = []
    try:
        nodes = [
            fields.name(one["metadata"].get("name"))
            for one in items(client, _NODES, "nodes", metadata_only=True)
            if isinstance(one.get("metadata"), dict)
        ]
    except ApiError as error:
        refused.append(f"nodes cannot be listed, so none is known to be missing: {error}")
    return window([found], now=time.time(), expected=filter(None, nodes), refused=refused)
