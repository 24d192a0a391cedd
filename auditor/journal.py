"""The agent's log: one JSON object a line on stderr. States are said when they begin and when they end, not each time."""

import json
import logging
import sys
import time
from dataclasses import dataclass, field

LOG = logging.getLogger(__name__)


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def begin() -> None:
    """Send every log line of this process to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(slots=True)
class States:
    """Troubles that last: each is logged once, and once more when it is over."""

    _current: dict[str, str] = field(default_factory=dict)

    def trouble(self, what: str, message: str, *, exception: BaseException | None = None) -> None:
        """Say that something is wrong, unless that was the last thing said of it."""
        if self._current.get(what) != message:
            self._current[what] = message
            LOG.warning("%s: %s", what, message, exc_info=exception)

    def fine(self, what: str) -> None:
        """Say that it is over, if it was wrong."""
        if self._current.pop(what, None) is not None:
            LOG.info("%s: works again", what)
