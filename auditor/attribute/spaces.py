"""Network namespaces: who each is called after, and how a person gets into it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.attribute.cgroup import HOST
from auditor.model import Owner, Process, ProcessName, Space


@dataclass(frozen=True, slots=True)
class Spaces:
    """The network namespaces of one sample.

    Attributes:
        host: inode of the host's; `None` when unknown.
        answers_for: the one owner of all processes of each, else the host.
        owner_of: owners by pid.
        eldest: the process that has been in each for longest, one of the host's own only where there is no other: it is
            the same in every sweep, whoever else comes by with nsenter.
    """

    host: int | None
    answers_for: Mapping[int, Owner]
    owner_of: Mapping[int, Owner]
    eldest: Mapping[int, Process]

    @classmethod
    def of(
        cls,
        processes: Iterable[Process],
        owner_of: Mapping[int, Owner],
        answers_for: Mapping[int, Owner],
        host: int | None,
    ) -> "Spaces":
        """Look for the eldest of each."""
        eldest: dict[int, Process] = {}
        for process in processes:
            if process.netns is None or process.kernel_thread:
                continue
            other = eldest.get(process.netns)
            if other is None or _age(process, owner_of) < _age(other, owner_of):
                eldest[process.netns] = process
        return cls(host, answers_for, owner_of, eldest)

    def space(self, inode: int) -> Space:
        """Describe one."""
        eldest = self.eldest.get(inode)
        return Space(inode, inode == self.host, ProcessName(eldest.pid, eldest.command) if eldest else None)

    def owner(self, inode: int) -> Owner:
        """Return whom it is called after: where several owners share it, the one who has been there for longest."""
        owner = self.answers_for.get(inode, HOST.owner)
        if owner != HOST.owner or self.host in (None, inode) or inode not in self.eldest:
            return owner
        return self.owner_of[self.eldest[inode].pid]


def _age(process: Process, owner_of: Mapping[int, Owner]) -> tuple[bool, int, int]:
    return owner_of[process.pid] == HOST.owner, process.start, process.pid
