"""Who refers to which open file descriptions: hundreds of thousands of them, in little memory."""

from collections.abc import Callable, Iterator


class Sharing:
    """Collects pairs of a task and a description, task by task.

    Many descriptions have the same holders, and some have hundreds: a group is known by the one before it and who joined
    it, so that it is written down once.

    Attributes:
        group_of: by description, the number of its group.
    """

    def __init__(self) -> None:
        self.group_of: dict[int, int] = {}
        self._joined: dict[int, int] = {}
        self._members: list[tuple[int, int]] = [(0, 0)]

    def adder(self) -> Callable[[int, int], None]:
        """Return what takes one pair after the other. A task's pairs come together, so who joined last may come again."""
        group_of, joined, members = self.group_of, self._joined, self._members
        known = group_of.get

        def add(task: int, description: int) -> None:
            group = known(description, 0)
            if members[group][1] == task:
                return
            key = group << 32 | task
            number = joined.get(key)
            if number is None:
                number = joined[key] = len(members)
                members.append((group, task))
            group_of[description] = number

        return add

    def tasks(self, group: int) -> Iterator[int]:
        """Yield the tasks of a group, the one that joined last first."""
        while group:
            group, task = self._members[group]
            yield task
