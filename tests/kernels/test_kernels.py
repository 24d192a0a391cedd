"""Other kernels than this machine's: the tests of ground truth, and limits that only a throw-away machine may lower."""

import re

import pytest
from kernels.conftest import Emulations

SECONDS = 3600  # where nothing is cached, a system and a kernel are fetched first


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("series", ["5.10"])
def test_on_a_kernel_too_old_for_the_programs_procfs_takes_over_and_says_why(
    series: str, emulations: Emulations
) -> None:
    status, printed = emulations.result(series, SECONDS)
    assert status == 0, printed[-20_000:]
    assert f"=== Linux {series}." in printed
    assert "\nprocfs: BPF cannot be used: " in printed
    assert "\n40 established, 1 listening\n" in printed
    assert re.search(r"^\d+ passed, \d+ deselected in", printed, re.MULTILINE), "and none left out"


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("series", ["6.1", "6.12"])
def test_ground_truth_and_limits_of_the_whole_machine(series: str, emulations: Emulations) -> None:
    status, printed = emulations.result(series, SECONDS)
    assert status == 0, printed[-20_000:]
    assert f"=== Linux {series}." in printed
    assert re.search(r"^\d+ passed in", printed, re.MULTILINE), "and none left out"
