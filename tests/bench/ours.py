"""One process that does what the agent does, but publish: sweeps again and again and says what that cost.

Takes the source, the CPU budget of a sweep in seconds (`none`: no bound), how many sweeps, and the memory cgroup it is in.
"""

import json
import resource
import statistics
import sys
from pathlib import Path

from auditor.agent import settle  # with all that the agent has in memory
from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.kernel import diag
from auditor.kernel.root import ProcRoot
from auditor.model import NodeInfo
from auditor.publish import object as shape
from auditor.publish.convert import to_status
from auditor.remember import History
from auditor.sweep.source import Source

WARM = 3


def cpu() -> float:
    """CPU milliseconds of this process so far."""
    use = resource.getrusage(resource.RUSAGE_SELF)
    return (use.ru_utime + use.ru_stime) * 1e3


def status_of(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def working_set(cgroup: str) -> float | None:
    """MiB that this process's cgroup is charged with and that is not easily given back; `None` without one."""
    for used, inactive in (("memory.usage_in_bytes", "total_inactive_file"), ("memory.current", "inactive_file")):
        try:
            total = int(Path(cgroup, used).read_text(encoding="utf-8"))
            lines = Path(cgroup, "memory.stat").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        return (total - next(int(line.split()[1]) for line in lines if line.startswith(f"{inactive} "))) / 2**20
    return None


def main() -> None:
    wanted, budget, rounds, cgroup = sys.argv[1:5]
    source, history = Source(ProcRoot(), wanted), History()  # type: ignore[arg-type]
    dump, dumped = diag.dump_tcp, 0

    def counted() -> list[diag.InetRow]:
        nonlocal dumped
        dumped += 1
        return dump()

    diag.dump_tcp = counted
    settle()
    sweeps, wholes, judged = [], [], []
    for turn in range(WARM + int(rounds)):
        if turn == WARM:
            dumped = 0
        begun = cpu()
        sample = source.sweep(None if budget == "none" else float(budget))
        swept = cpu()
        usage = attribute(sample, {})
        attributed = cpu()
        assessment, history = assess(usage, history, Policy(), 1e9 + 30 * turn)
        assessed = cpu()
        status = to_status(sample, usage, assessment, NodeInfo("bench"), interval=30.0)
        json.dumps(shape.plain(status))
        sweeps.append(swept - begun)
        wholes.append(cpu() - begun)
        judged.append(assessed - attributed)
        facts = {
            "source": sample.source,
            "fds": sum(one.fds or 0 for one in sample.processes),
            "sockets": sum(group.count for group in sample.sockets),
            "pods": usage.totals.pods,
            "processes": len(sample.processes),
            "netns": len(sample.netns),
        }
        del sample, usage, assessment, status  # as the agent does between two turns
    print(
        json.dumps(
            {
                **facts,
                "first": sweeps[0],
                "sweep": statistics.median(sweeps[WARM:]),
                "whole": statistics.median(wholes[WARM:]),
                "assess": statistics.median(judged[WARM:]),
                "dumps": dumped / int(rounds),
                "rss": status_of("VmRSS") / 1024,
                "peak": status_of("VmHWM") / 1024,
                "working_set": working_set(cgroup),
            }
        )
    )


main()
