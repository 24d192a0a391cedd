"""The other ends of connections that the BPF programs count a sample of."""

import re
from importlib.resources import files

from auditor.sweep.bpf.holdings import EVERY


def test_how_many_one_stands_for_is_said_once_in_each_language() -> None:
    source = (files("auditor.kernel.bpf") / "sockaudit.bpf.c").read_text()
    assert re.findall(r"^#define EVERY (\d+)\b", source, re.MULTILINE) == [str(EVERY)]
