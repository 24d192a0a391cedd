"""The console of every screen: a terminal as it is; in a pipe plain text of a stable width, without trailing blanks."""

import os
import re
import sys
from typing import TextIO, cast

from rich.console import Console


def new_console(in_a_pipe: int) -> Console:
    """Return a console on stdout, so wide in a pipe unless COLUMNS says otherwise."""
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    said = os.environ.get("COLUMNS", "")
    width = int(said) if re.fullmatch(r"[1-9][0-9]{0,3}", said) else in_a_pipe
    return Console(highlight=False, markup=False, width=width, file=cast("TextIO", _Trimmed(sys.stdout)))


class _Trimmed:
    """Stdout, each line without the blanks that fill the last column of a table. What is written is whole lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.encoding = out.encoding
        self.flush, self.isatty = out.flush, out.isatty

    def write(self, text: str) -> int:
        return self._out.write(re.sub(r" +$", "", text, flags=re.MULTILINE))
