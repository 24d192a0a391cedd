"""Who refers to which open file descriptions: hundreds of thousands of them, in little memory."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Sharing:
    """Groups of tasks that refer to the same descriptions.

    Many descriptions have the same holders, and some have hundreds: a group is known by the one before it and who joined
    it, so that it is written down once.

    Attributes:
        group_of: by description, the number of its group.
        joined: by a group and who joined it (group << 32 | task), the number of the group that this made.
        members: by number, the group before and who joined it. The first is the group of nobody.
    """

    group_of: dict[int, int] = field(default_factory=dict)
    joined: dict[int, int] = field(default_factory=dict)
    members: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])

    def join(self, descriptions: Iterable[int], task: int) -> None:
        """Take down that a task refers to some descriptions. All that is said of one task is said without a break."""
        group_of = self.group_of
        before, after = -1, 0
        for description in descriptions:
            group = group_of.get(description, 0)
            if group != before:  # forks refer to many of the same group
                before, after = group, self.with_member(group, task)
            group_of[description] = after

    def with_member(self, group: int, task: int) -> int:
        """Return the number of the group that a task makes of another by joining it."""
        members = self.members
        if members[group][1] == task:
            return group
        key = group << 32 | task
        if key not in self.joined:
            self.joined[key] = len(members)
            members.append((group, task))
        return self.joined[key]

    def tasks(self, group: int) -> list[int]:
        """Return the tasks of a group, the one that joined last first."""
        members, tasks = self.members, []
        while group:
            group, task = members[group]
            tasks.append(task)
        return tasks
