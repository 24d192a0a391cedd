import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.model import UNLIMITED, Limit, Owner, OwnerKind, PodIdentity
from auditor.model.words import bounded, clean, duration, limit, owner_name


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"), (0, "0 s"), (0.0001, "1 ms"), (0.058, "58 ms"), (45.9, "45 s"), (119, "119 s"), (120, "2 min"),
        (1860, "31 min"), (7199, "119 min"), (7200, "2 h"), (2 * 86_400 - 1, "47 h"), (9 * 86_400, "9 days"),
    ],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("value", "words"), [(65_536, "65,536"), (UNLIMITED, "unlimited"), (None, "unknown")])
def test_limits(value: Limit, words: str) -> None:
    assert limit(value) == words


@given(st.text(), st.integers(0, 40))
def test_bounded_is_valid_and_short_enough(text: str, maximum: int) -> None:
    cut = bounded(text, maximum)
    assert len(cut.encode()) <= maximum
    if len(text.encode(errors="replace")) > maximum >= 3:
        assert cut.endswith("…")


@given(st.text(st.characters()))
def test_clean_is_one_harmless_line(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    assert shown == clean(shown)
    assert "  " not in shown


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (None, "node"),
        (Owner(OwnerKind.POD, "1f2e"), "pod 1f2e"),
        (Owner(OwnerKind.UNIT, "kubelet.service"), "kubelet.service"),
        (Owner(OwnerKind.CONTAINER, "c" * 64), "container cccccccccccc"),
        (Owner(OwnerKind.HOST), "host"),
        (Owner(OwnerKind.KERNEL), "kernel"),
    ],
)
def test_owners(owner: Owner | None, name: str) -> None:
    assert owner_name(owner) == name


def test_a_named_pod() -> None:
    assert owner_name(Owner(OwnerKind.POD, "u"), PodIdentity("shop", "cart\x1b-0", "u")) == "shop/cart?-0"
