import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.publish.when import epoch, maybe_epoch, timestamp


@given(st.integers(0, 1 << 37))
def test_what_is_written_is_read(seconds: int) -> None:
    assert epoch(timestamp(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:01.123456789Z", 1.123456),
        ("1970-01-01T02:00:01+02:00", 1.0),
        ("0001-01-01T00:00:00+23:59", -62135683140.0),
        ("1970-01-01T00:00:01", None),
        ("1970-01-01", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times_of_others(text: str | None, seconds: float | None) -> None:
    assert maybe_epoch(text) == seconds
