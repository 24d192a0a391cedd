"""The plugin's commands, composed."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

from auditor.kube.access import Access
from auditor.plugin import explain, top
from auditor.plugin.objects import Cluster, PluginError
from auditor.publish.console import new_console

_COLUMNS = 140  # in a pipe
_NODES, _PODS = ("node", "nodes", "no"), ("pod", "pods", "po")


def run_top(  # noqa: PLR0913 - what the command line says
    what: str, access: Access, *, namespace: str | None, every: bool, selector: str | None, output: str
) -> None:
    """Print `top pods` or `top nodes`.

    Raises:
        PluginError: no cluster answers.
    """
    cluster = Cluster(access)
    if what in _NODES:
        nodes = top.nodes_of(cluster, selector)
        rows = top.node_rows(nodes, time.time())
        _json([asdict(row) for row in rows]) if output == "json" else top.nodes(rows, new_console(_COLUMNS))
        return
    space = None if every else namespace or cluster.namespace()
    chosen = None if selector is None else cluster.pods_of(space, selector)
    pods = top.pod_rows(top.nodes_of(cluster), space, chosen)
    _json([asdict(row) for row in pods]) if output == "json" else top.pods(pods, space, new_console(_COLUMNS))


def run_explain(subject: Sequence[str], access: Access, *, namespace: str | None, output: str) -> None:
    """Print all that is known of `node/NAME` or `pod/NAME`, or of `node NAME` or `pod NAME`.

    Raises:
        PluginError: no such subject, or no cluster answers.
    """
    kind, _, name = "/".join(subject).partition("/")
    if not name or "/" in name or kind not in (*_NODES, *_PODS):
        raise PluginError("explain what? Name it as node/NAME or pod/NAME.")
    cluster = Cluster(access)
    if kind in _NODES:
        status = cluster.status(name)
        if output == "json":
            _json(explain.node_document(name, status, time.time()))
        else:
            explain.node(name, status, time.time(), new_console(_COLUMNS))
        return
    space = namespace or cluster.namespace()
    on = cluster.node_of(space, name)
    status = cluster.status(on)
    if output == "json":
        _json(explain.pod_document(space, name, on, status, time.time()))
    else:
        explain.pod(space, name, on, status, time.time(), new_console(_COLUMNS))


def _json(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
