"""CPU seconds that may go into telling descriptors apart."""

import time


class Budget:
    """Measures the CPU time of the thread that made it, from then on.

    Args:
        seconds: `None` for no bound.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._start = time.thread_time()

    @property
    def spent(self) -> float:
        """CPU seconds so far."""
        return time.thread_time() - self._start

    def allows(self, seconds: float, *, share: float = 1.0) -> bool:
        """Whether so much more fits into the budget, or into the first `share` of it."""
        return self._seconds is None or self.spent + seconds <= self._seconds * share
