"""The agent: sweep, attribute, assess, publish, again and again. A composer; rules and shapes live elsewhere."""

import gc
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from types import FrameType

import psutil

from auditor import __version__, journal
from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.kernel.root import ProcRoot
from auditor.kube.client import ApiError, Client, connect
from auditor.kube.directory import directory
from auditor.kube.pods import PodWatch
from auditor.model import Gap, NodeInfo
from auditor.profiles import PROFILES
from auditor.publish.convert import to_status
from auditor.publish.endpoint import Endpoint
from auditor.publish.metrics import Metrics, OwnUse
from auditor.publisher import Publisher
from auditor.remember import History
from auditor.sweep import SweepError
from auditor.sweep.source import Source, Wanted
from auditor.thresholds import Watched, Wishes

LOG = logging.getLogger(__name__)
LONGEST_INTERVAL_SECONDS = 300.0
POD_WATCH_PATIENCE_SECONDS = 5.0
_OBJECTS_OF_A_TURN = 50_000
_EXIT_OK, _EXIT_FAILED = 0, 2


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What the agent is told.

    Attributes:
        interval: seconds between sweeps, while the CPU budget allows.
        cpu_budget_percent: of one core, on average.
        metrics_address: host and port of the endpoint.
        publish: whether there is a cluster to write to.
        procfs: root of the host's procfs.
        pod_logs: the kubelet's log folder.
        context: kubeconfig context; inside a cluster the service account is used.
        kubeconfig: file; `None`: where kubectl looks.
        thresholds: a file of them, which may change at any time.
        source: what is read; `auto` for the best that works.
        profile: what this installation has the rights to.
        per_pod: pods with metrics of their own: the top ones, all, or none.
        snat_ports: what the NAT in front of the node allows to one destination; `None` where nobody said.
    """

    node_name: str
    interval: float = 30.0
    cpu_budget_percent: float = 1.0
    metrics_address: tuple[str, int] = ("127.0.0.1", 9475)
    per_pod: str = "top"
    snat_ports: int | None = None
    publish: bool = True
    procfs: str = "/proc"
    pod_logs: str = "/var/log/pods"
    context: str | None = None
    kubeconfig: str | None = None
    thresholds: str | None = None
    source: Wanted = "auto"
    profile: str = "privileged"


def run(settings: AgentSettings) -> int:
    """Audit until SIGTERM or SIGINT.

    Returns:
        0 after a signal, 2 when the agent cannot work at all (no such procfs, no cluster configuration, port taken).
    """
    journal.begin()
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    if settings.thresholds is not None and not os.path.exists(settings.thresholds):
        LOG.error("%s does not exist; name a file of --thresholds, or leave it out", settings.thresholds)
        return _EXIT_FAILED
    host, port = settings.metrics_address
    try:
        client = connect(settings.context, settings.kubeconfig, pause=stop.wait) if settings.publish else None
        agent = Agent(settings, client)
        agent.confine()  # before there is a second thread, which would keep what this one gives up
        Endpoint((host, port), agent.metrics.expose, agent.alive, agent.ready)
    except ApiError as error:
        LOG.error("%s; run in a cluster, name a --context, or use --no-publish", error)  # noqa: TRY400
        return _EXIT_FAILED
    except OSError as error:
        LOG.error("cannot serve on %s:%d: %s. Choose another --metrics-address.", host, port, error)  # noqa: TRY400
        return _EXIT_FAILED
    LOG.info("sockaudit %s audits node %s every %g s", __version__, settings.node_name, settings.interval)
    try:
        agent.loop(stop)
    except SweepError as error:
        LOG.error("%s", error)  # noqa: TRY400 - a line for a person
        return _EXIT_FAILED
    LOG.info("ended by a signal")
    return _EXIT_OK


def settle() -> None:
    """Spare the garbage collector what it would look at in vain.

    What was imported lives as long as the process. A turn makes tens of thousands of objects that end with it, in no cycles.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_OF_A_TURN)


class Agent:
    """The loop and what it carries from one turn to the next."""

    def __init__(self, settings: AgentSettings, client: Client | None) -> None:
        self.metrics = Metrics(settings.node_name, settings.per_pod)
        self._settings = settings
        self._profile = PROFILES[settings.profile]
        self._source = Source(ProcRoot(settings.procfs), settings.source, snat_ports=settings.snat_ports)
        self._thresholds = Watched(settings.thresholds)
        self._wishes = Wishes()
        self._history = History()
        self._states = journal.States()
        self._own = psutil.Process()
        self._cpu_before = time.process_time()
        self._interval = settings.interval
        self._last_turn = time.monotonic()
        self._swept = False
        self._watch = PodWatch(client, settings.node_name) if client else None
        self._publisher = Publisher(client, settings.node_name, self.metrics, self._states) if client else None

    def loop(self, stop: threading.Event) -> None:
        """Sweep now, and then each time the interval has passed.

        Raises:
            SweepError: there never was a procfs to read.
        """
        if self._watch:
            self._watch.start()
            deadline = time.monotonic() + POD_WATCH_PATIENCE_SECONDS
            while not stop.is_set() and time.monotonic() < deadline and not self._watch.wait_synced(0.2):
                pass
        settle()
        while not stop.is_set():
            began = time.monotonic()
            self._turn()
            self._last_turn = time.monotonic()
            stop.wait(max(0.0, began + self._interval - self._last_turn))
        if self._publisher:
            self._publisher.finish()
        if self._watch:
            self._watch.stop()

    def confine(self) -> None:
        """Give up all capabilities, if the profile says so, but those that go on reading takes."""
        if self._profile.confined:
            kept = self._source.confine()
            LOG.info(
                "capabilities are given up%s",
                f", except {kept}, which this kernel asks for at each read" if kept else "",
            )

    def alive(self) -> bool:
        """Whether the loop still turns."""
        return time.monotonic() - self._last_turn < 3 * self._interval + 60

    def ready(self) -> bool:
        """Whether the latest turn audited, and an audit was shown; or nothing is to be shown for now.

        An agent that is paused does as it was told: else it would hold up each roll-out.
        """
        if self._publisher is None:
            return self.metrics.current
        return self._publisher.paused or (self.metrics.current and self._publisher.has_written)

    def _turn(self) -> None:
        audited = False
        try:
            if self._publisher:
                self._history = self._publisher.take_up(self._history)
                if self._publisher.look_whether_paused():
                    return
            self._audit()
            audited = True
            self._states.fine("audit")
        except SweepError as error:
            if not self._swept:
                raise
            self._states.trouble("audit", str(error))
        except Exception as error:  # noqa: BLE001 - one bad turn must not end the audit
            self._states.trouble("audit", f"{type(error).__name__}: {error}"[:500], exception=error)
        finally:
            if not audited:
                self.metrics.miss()
            self._stretch()  # also what failed has cost

    def _audit(self) -> None:
        allowed = self._settings.cpu_budget_percent / 100 * self._settings.interval
        sample = self._source.sweep(cpu_seconds=allowed)
        if self._source.trouble:
            self._states.trouble("BPF", f"procfs takes over: {self._source.trouble}")
        else:
            self._states.fine("BPF")
        known = directory(self._settings.pod_logs, self._watch)
        usage = attribute(sample, known.pods)
        publisher = self._publisher
        thresholds = self._thresholds.of(publisher.node.all_labels if publisher else {})
        policy = Policy(thresholds, self._wishes.of(usage.owners), self._profile.promised)
        usage = replace(usage, gaps=(*usage.gaps, *known.gaps, *self._bad_thresholds()))
        assessment, history = assess(usage, self._history, policy, time.time())
        status = to_status(
            sample,
            usage,
            assessment,
            publisher.node if publisher else NodeInfo(self._settings.node_name),
            interval=self._interval,
            previous=publisher.conditions if publisher else (),
        )
        # Not sooner: the next turn would take for told what this one could not tell.
        self._history = history
        own = OwnUse(time.process_time(), self._own.memory_info().rss, self._own.num_fds())
        self.metrics.observe(status, own, usage.owners)
        self._swept = True
        if publisher:
            publisher.publish(status, assessment)

    def _bad_thresholds(self) -> tuple[Gap, ...]:
        trouble = "; ".join([*filter(None, [self._thresholds.trouble]), *self._wishes.complaints[:5]])
        if not trouble:
            self._states.fine("thresholds")
            return ()
        self._states.trouble("thresholds", trouble)
        return (Gap("thresholds", f"the last good thresholds stay in force: {trouble}"),)

    def _stretch(self) -> None:
        """Keep the average within the budget: what a turn cost decides how soon the next may come."""
        now = time.process_time()  # psutil counts in clock ticks of 10 ms, as long as a small node's sweep takes
        needed = (now - self._cpu_before) / (self._settings.cpu_budget_percent / 100)
        self._cpu_before = now
        longest = max(LONGEST_INTERVAL_SECONDS, self._settings.interval)
        interval = min(max(self._settings.interval, needed), longest)
        if interval > self._settings.interval:
            self._states.trouble("cpu budget", "a sweep costs more than the budget allows, so sweeps come less often")
        else:
            self._states.fine("cpu budget")
        self._interval = interval
