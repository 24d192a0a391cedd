"""Remember: what is carried from one sweep to the next. Pure; the clock is passed in.

Held: open findings with the moment they opened, the previous sweep's percentages (for rules that ask for two sweeps in
a row) and peaks over seven days. All of it but the percentages is restored from the node's own object at start.
Trends will live here too, beside the peaks.
"""

from auditor.remember.history import History, reading_id
from auditor.remember.peaks import PeakWindow

__all__ = ["History", "PeakWindow", "reading_id"]
