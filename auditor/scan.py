"""One audit of this machine, for a person or a script. Composes the stages; never throttled, writes to no cluster."""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.kernel.procfs.sysctl import host_name
from auditor.kernel.root import ProcRoot
from auditor.kube.pod_logs import pod_logs
from auditor.model import NodeInfo
from auditor.nodes import UNNAMED, as_node_name
from auditor.profiles import PROFILES
from auditor.publish import object as shape
from auditor.publish.console import new_console
from auditor.publish.convert import UNCAPPED, to_document, to_status
from auditor.publish.terminal import render
from auditor.remember import History
from auditor.sweep import SweepError
from auditor.sweep.source import Source, Wanted

__all__ = ["Audited", "Auditor", "SweepError"]

_EXIT_FOUND, _EXIT_UNKNOWN = 1, 2
_SECOND_LOOK_SECONDS = 1.0  # long enough for an accept queue to drain, short enough for a person to wait
_COLUMNS = 120  # in a pipe, so that columns are stable
_SEVERE = {"warning": {"Warning", "Critical"}, "critical": {"Critical"}}


@dataclass(frozen=True, slots=True)
class Audited:
    """The result of one audit. `needs_another`: something is above its warning of which one look makes no finding."""

    status: shape.Status
    node: NodeInfo
    needs_another: bool = False

    def document(self) -> dict[str, object]:
        """Return the object, uncapped."""
        return to_document(self.status, self.node)

    def show(self, output: str, *, all_rows: bool) -> None:
        """Write it to stdout as a table, json, yaml, or one line of JSON, and no later than now."""
        if output == "table":
            render(self.status, self.node.name, new_console(_COLUMNS), all_rows=all_rows)
        elif output == "yaml":
            yaml.safe_dump(self.document(), sys.stdout, sort_keys=False)
        else:
            sys.stdout.write(json.dumps(self.document(), indent=2 if output == "json" else None) + "\n")
        sys.stdout.flush()

    def exit_code(self, fail_on: str | None) -> int:
        """Return the exit code that `--fail-on` asks for."""
        if fail_on is None:
            return 0
        if self.status.verdict in _SEVERE[fail_on]:
            return _EXIT_FOUND
        return _EXIT_UNKNOWN if self.status.verdict == "Unknown" else 0


class Auditor:
    """Audits again and again, with the memory that rules over two sweeps need."""

    def __init__(  # noqa: PLR0913 - one for each option
        self,
        procfs: str,
        folder: str,
        node_name: str | None,
        *,
        interval: float,
        source: Wanted = "auto",
        snat_ports: int | None = None,
    ) -> None:
        root = ProcRoot(procfs)
        self._live = root.live
        self._source = Source(root, source, snat_ports=snat_ports)
        self._folder = folder
        self._node = NodeInfo(node_name or as_node_name(host_name(root) or "") or UNNAMED)
        self._interval = interval
        self._history = History()
        profile = PROFILES["privileged" if os.geteuid() == 0 else "unprivileged"]
        self._policy = Policy(promised=profile.promised)

    def audits(self, number: int) -> Iterator[Audited]:
        """Audit so many times, with the interval in between; 0 goes on until stopped. Raises as `audit`."""
        for turn in itertools.count(1):
            yield self._considered() if number == 1 else self.audit()
            if turn == number:
                return
            time.sleep(self._interval)

    def _considered(self) -> Audited:
        """Audit once, and once more where only a second look tells a moment from a state. Files say the same twice."""
        audited = self.audit()
        if not (self._live and audited.needs_another):
            return audited
        time.sleep(_SECOND_LOOK_SECONDS)
        return self.audit()

    def audit(self) -> Audited:
        """Audit once.

        Raises:
            SweepError: there is no procfs to read, or the one source that was asked for cannot be used.
        """
        sample = self._source.sweep()
        usage = attribute(sample, pod_logs(self._folder))
        assessment, self._history = assess(usage, self._history, self._policy, time.time())
        status = to_status(sample, usage, assessment, self._node, interval=self._interval, caps=UNCAPPED)
        return Audited(status, self._node, needs_another=bool(assessment.once))
