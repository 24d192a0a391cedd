"""What was refused is told with the right that would show it, unless the reader has it and is refused still."""

import pytest

from auditor.kernel import capabilities
from auditor.kernel.errors import Denied
from auditor.sweep.losses import Losses


@pytest.mark.parametrize(
    ("able", "cure"),
    [
        (False, "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH show them"),
        (True, "the kernel guards them even from CAP_SYS_PTRACE"),
    ],
)
def test_no_right_is_asked_for_that_is_there(able: bool, cure: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    monkeypatch.setattr(capabilities, "effective", lambda *_: able)
    losses = Losses()
    losses.count("fd-kinds", Denied("1/fd"), 1)
    (gap,) = losses.gaps()
    assert gap.detail.endswith(f": {cure}")
