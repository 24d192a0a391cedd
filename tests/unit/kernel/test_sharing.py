"""Who refers to which descriptions, as the records of one task after the other tell it."""

from hypothesis import given
from hypothesis import strategies as st

from auditor.kernel.bpf.sharing import Sharing

tables = st.dictionaries(st.integers(1, 9), st.lists(st.lists(st.integers(1, 6), min_size=1), min_size=1))
"""By task, its records: some descriptions each, some of them again and again."""


@given(tables)
def test_each_description_has_all_who_refer_to_it(tables: dict[int, list[list[int]]]) -> None:
    sharing = Sharing()
    wanted: dict[int, set[int]] = {}
    for task, several in tables.items():
        for descriptions in several:
            sharing.join(descriptions, task)
            for one in descriptions:
                wanted.setdefault(one, set()).add(task)
    assert {one: set(sharing.tasks(group)) for one, group in sharing.group_of.items()} == wanted
    assert all(len(sharing.tasks(group)) == len(wanted[one]) for one, group in sharing.group_of.items())
    by_holders = {one: tuple(sharing.tasks(group)) for one, group in sharing.group_of.items()}
    groups = set(sharing.group_of.values())
    assert len(groups) == len(set(by_holders.values())), "a group is written down once"
