from auditor.model import Peak
from auditor.remember import PeakWindow

DAY = 86_400.0


def test_the_greatest_value_is_kept_with_its_moment() -> None:
    window = PeakWindow(10.0).observe(5, 10.0).observe(9, 20.0).observe(7, 30.0)
    assert window.peak == Peak(9, 20.0, 10.0)


def test_a_peak_leaves_after_seven_days_and_the_next_greatest_takes_its_place() -> None:
    window = PeakWindow(0.0).observe(100, 0.0)
    for day in range(1, 9):
        window = window.observe(day, day * DAY)
    assert window.peak == Peak(8, 8 * DAY, DAY)


def test_a_week_needs_no_more_than_eight_buckets() -> None:
    window = PeakWindow(0.0)
    for minute in range(60 * 24 * 30):
        window = window.observe(minute % 97, minute * 60.0)
    assert len(window.days) <= 8


def test_a_restored_peak_goes_on() -> None:
    assert PeakWindow.restored(Peak(50, 10.0, 5.0)).observe(3, 20.0).peak == Peak(50, 10.0, 5.0)
