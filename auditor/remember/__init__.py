"""Remember: what is carried from one sweep to the next. Pure; the clock is passed in.

Held: open findings with the moment they opened, the previous sweep's percentages (for rules that ask for two sweeps in
a row), peaks over seven days, a day of each figure that may grow without end, and what the descriptors of each owner
were. Findings and peaks are restored from the node's own object at start; growth has to be seen anew.
"""

from auditor.remember.composition import Composition
from auditor.remember.history import History, reading_id
from auditor.remember.peaks import PeakWindow
from auditor.remember.rate import Rate
from auditor.remember.series import Series
from auditor.remember.shares import summed
from auditor.remember.stillness import Still
from auditor.remember.trend import Trend

__all__ = ["Composition", "History", "PeakWindow", "Rate", "Series", "Still", "Trend", "reading_id", "summed"]
