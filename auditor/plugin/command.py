"""The plugin's commands, composed; also what completes them."""

import sys
import time

from rich.console import Console

from auditor.plugin import explain, top
from auditor.plugin.objects import Cluster, PluginError
from auditor.publish.terminal import columns

_COLUMNS = 140  # in a pipe

_WORDS = {
    (): ("report", "top", "explain"),
    ("top",): ("pods", "nodes"),
    ("explain",): ("node/", "pod/"),
}
_FLAGS = ("--context", "--kubeconfig", "--namespace", "--all-namespaces", "--help")
_NO_SPACE_NO_FILES = ":6"  # cobra's ShellCompDirectiveNoSpace and NoFileComp, which kubectl passes on


def run_top(what: str, *, context: str | None, kubeconfig: str | None, namespace: str | None, every: bool) -> None:
    """Print `top pods` or `top nodes`.

    Raises:
        PluginError: no cluster answers.
    """
    cluster = Cluster(context, kubeconfig)
    found = top.nodes_of(cluster)
    if what == "nodes":
        top.nodes(found, time.time(), _console())
    else:
        top.pods(found, None if every else namespace or cluster.namespace(), _console())


def run_explain(subject: str, *, context: str | None, kubeconfig: str | None, namespace: str | None) -> None:
    """Print all that is known of `node/NAME` or `pod/NAME`.

    Raises:
        PluginError: no such subject, or no cluster answers.
    """
    kind, _, name = subject.partition("/")
    if not name or kind not in ("node", "no", "nodes", "pod", "po", "pods"):
        raise PluginError("explain what? Name it as node/NAME or pod/NAME.")
    cluster = Cluster(context, kubeconfig)
    if kind.startswith("no"):
        explain.node(name, cluster.status(name), time.time(), _console())
        return
    space = namespace or cluster.namespace()
    on = cluster.node_of(space, name)
    explain.pod(space, name, on, cluster.status(on), time.time(), _console())


def complete() -> int:
    """Print what may come next, as kubectl asks `kubectl_complete-sockaudit` (cobra's protocol)."""
    *before, last = sys.argv[1:] or [""]
    said = tuple(word for word in before if not word.startswith("-"))
    words = _FLAGS if last.startswith("-") else _WORDS.get(said, ())
    for word in words:
        if word.startswith(last):
            sys.stdout.write(f"{word}\n")
    sys.stdout.write(f"{_NO_SPACE_NO_FILES}\n")
    return 0


def _console() -> Console:
    return Console(highlight=False, markup=False, width=columns(in_a_pipe=_COLUMNS))
