"""What may come next on a command line, told from its parser, so that it is never another than what is accepted."""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COMMAND = "__complete"
"""What a shell's script calls: `sockaudit __complete WORD...`, the last word being the one that is typed."""

_PATHS = ("FILE", "DIR")

SCRIPTS = {
    "bash": """\
_sockaudit() {
  local IFS=$'\\n'
  COMPREPLY=($(sockaudit __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
}
complete -F _sockaudit sockaudit
""",
    "zsh": """\
#compdef sockaudit
_sockaudit() {
  local -a found
  found=("${(@f)$(sockaudit __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -Q -S '' -- ${(M)found:#*/}
  compadd -- ${found:#*/}
}
compdef _sockaudit sockaudit
""",
    "fish": """\
complete -c sockaudit -f -a '(sockaudit __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}


@dataclass(frozen=True, slots=True)
class Next:
    """What may follow.

    Attributes:
        words: that begin as the last word does.
        paths: whether names of files may, too.
    """

    words: list[str]
    paths: bool = False


def following(parser: argparse.ArgumentParser, words: Sequence[str], examples: Mapping[str, Sequence[str]]) -> Next:
    """Return what may stand in place of the last word.

    Args:
        parser: of the whole command line.
        words: after the name of the program; the last is the one that is typed.
        examples: by destination of an argument without choices, what it may begin with.
    """
    *before, last = words or [""]
    positionals, wanting = _positionals(parser), None
    for word in before:
        if wanting is not None and not word.startswith("-"):  # this word is what the option before it asked for
            wanting = wanting if wanting.nargs == "+" else None
        elif word.startswith("-"):
            option = _options(parser).get(word.partition("=")[0])
            wanting = option if option is not None and option.nargs != 0 and "=" not in word else None
        elif positionals:
            action = positionals.pop(0)
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:  # noqa: SLF001 - no other name
                parser = action.choices[word]
                positionals = _positionals(parser)
    if wanting is None and last.startswith("-"):
        return Next(sorted(name for name in _options(parser) if name.startswith(last) and name.startswith("--")))
    if wanting is None and not positionals:
        return Next([])
    action = positionals[0] if wanting is None else wanting
    offered = action.choices or examples.get(action.dest, ())
    return Next([word for word in map(str, offered) if word.startswith(last)], paths=action.metavar in _PATHS)


def paths(begun: str) -> Iterator[str]:
    """Yield the names of files that begin so; those of folders end with a slash."""
    folder, name = os.path.split(begun)
    try:
        with os.scandir(folder or ".") as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith(name) and (name or not entry.name.startswith(".")):
                    yield os.path.join(folder, entry.name) + ("/" if entry.is_dir() else "")
    except OSError:
        return


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return parser._option_string_actions  # noqa: SLF001 - argparse has no other way to ask


def _positionals(parser: argparse.ArgumentParser) -> "list[argparse.Action | argparse._SubParsersAction[Any]]":
    return [action for action in parser._actions if not action.option_strings]  # noqa: SLF001 - the same
