"""Which source a sweep reads: the best that proves itself, each time anew."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from auditor.kernel import capabilities
from auditor.kernel.bpf.programs import Programs
from auditor.kernel.errors import Denied, KernelError
from auditor.kernel.root import ProcRoot
from auditor.model import NodeSample
from auditor.sweep import SweepError, bpf
from auditor.sweep import sweep as by_procfs

RETRY_SECONDS: Final = 600.0
Wanted = Literal["auto", "bpf", "procfs"]


class Source:
    """Sweeps by BPF iterators where those can be had, else by procfs; keeps what one sweep may spare the next.

    Args:
        root: the tree to read.
        wanted: `auto`, or one source and no other.
        load: makes the programs.
        snat_ports: what the NAT in front of the node allows to one destination; `None` where nobody said.

    Attributes:
        trouble: why `auto` makes do without BPF; `None` while it need not.
    """

    def __init__(
        self,
        root: ProcRoot,
        wanted: Wanted = "auto",
        load: Callable[[], Programs] = Programs,
        snat_ports: int | None = None,
    ) -> None:
        self.trouble: str | None = None
        self._root = root
        self._wanted = wanted
        self._load = load
        self._snat_ports = snat_ports
        self._memory = bpf.Memory()
        self._programs: Programs | None = None
        self._confined = False
        self._tried: float | None = None

    def sweep(self, cpu_seconds: float | None = None) -> NodeSample:
        """Sweep.

        Args:
            cpu_seconds: what it should take; `None` for no bound.

        Raises:
            SweepError: there is nothing to read, or the one source that was asked for cannot be used.
        """
        if self._wanted == "procfs":
            return self._fall_back(cpu_seconds, "asked for")
        if not self._root.own_pids:
            self.trouble = f"{self._root.path} is not the live /proc of this PID namespace"
        elif self._due():
            try:
                sample = self._by_bpf(cpu_seconds)
            except (KernelError, bpf.UnprovenError) as error:
                self.trouble = _reason(error)
                self._memory.ports = None  # which may be what was too much
                if not self._confined:
                    self.close()
            else:
                self.trouble = None
                return sample
        if self._wanted == "bpf":
            raise SweepError(f"BPF cannot be used: {self.trouble}. Leave out --source bpf.")
        return self._fall_back(cpu_seconds, f"BPF cannot be used: {self.trouble}")

    def confine(self) -> str | None:
        """Load the programs, and give up every capability of this thread: reading goes on without.

        From then on the programs are kept whatever happens, for nobody may load them again.

        Returns:
            The one that this kernel asks for at each read (before Linux 5.19), and that is kept; `None` if there is none.
        """
        kept = None
        try:
            if self._wanted != "procfs" and self._root.own_pids:
                self._tried = time.monotonic()
                self._programs = self._load()
                capabilities.limit_to((), [capabilities.CAP_BPF])
                try:
                    self._programs.descriptors()
                except Denied:
                    kept = "CAP_BPF"
                except KernelError:
                    pass  # not for want of a right; the first sweep says why
        except KernelError as error:
            self.trouble = _reason(error)
            self.close()
        which = [capabilities.CAP_BPF] if kept else []
        capabilities.limit_to(which, which)
        self._confined = True
        return kept

    def close(self) -> None:
        """Let go of the programs."""
        if self._programs:
            self._programs.close()
            self._programs = None

    def _due(self) -> bool:
        """Whether to try: what failed once is not tried at every sweep, and loading not without a right to it."""
        if self._confined and self._programs is None:
            return False
        if self.trouble is None or self._wanted == "bpf" or self._tried is None:
            return True
        return time.monotonic() - self._tried >= RETRY_SECONDS

    def _by_bpf(self, cpu_seconds: float | None) -> NodeSample:
        self._tried = time.monotonic()
        if self._programs is None:
            self._programs = self._load()
        elif self.trouble:  # a pass that failed may have left something in the maps, which would be counted again
            self._programs.empty()
        return bpf.sweep(
            self._root, self._programs, cpu_seconds=cpu_seconds, memory=self._memory, snat_ports=self._snat_ports
        )

    def _fall_back(self, cpu_seconds: float | None, reason: str) -> NodeSample:
        sample = by_procfs(self._root, cpu_seconds=cpu_seconds, memory=self._memory, snat_ports=self._snat_ports)
        return replace(sample, reason=reason)


def _reason(error: Exception) -> str:
    return f"CAP_BPF and CAP_PERFMON are needed ({error})" if isinstance(error, Denied) else str(error)
