"""What a word of the command line may be. Each reads one, or says in one clause what it is not."""

import argparse
import re

from auditor.nodes import is_node_name

_LAST_PORT = 65_535
_MOST_DAYS = 366
_MOST_DIGITS = 9


def whole(text: str) -> int:
    """Read a whole number."""
    if not _is_whole(text):
        raise argparse.ArgumentTypeError(f"{text[:20]} is not a whole number from 0 to {10**_MOST_DIGITS - 1:,}")
    return int(text)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def headroom(text: str) -> int:
    """Read a share to leave free, in percent."""
    return _one_to(text, 99, "share to leave free, in percent")


def pod(text: str) -> str:
    """Read the name of a pod, or its uid."""
    if not text.strip("/ "):
        raise argparse.ArgumentTypeError("it names no pod: write NAMESPACE/NAME or a uid")
    return text


def node_name(text: str) -> str:
    """Read the name of a node (RFC 1123)."""
    if not is_node_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a node: small letters, digits, - and .")
    return text


def _one_to(text: str, most: int, what: str) -> int:
    if not _is_whole(text) or not 0 < int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text[:20]} is no {what}: 1 to {most}")
    return int(text)


def days(text: str) -> int:
    """Read a number of days."""
    return _one_to(text, _MOST_DAYS, "number of days")


def port(text: str) -> int:
    """Read a port."""
    return _one_to(text, _LAST_PORT, "port")


def snat_ports(text: str) -> int:
    """Read a number of SNAT ports."""
    return _one_to(text, _LAST_PORT, "number of SNAT ports")


def seconds(text: str) -> float:
    """Read seconds."""
    return _number(text, 86_400, "seconds, more than 0 and at most a day")


def percent(text: str) -> float:
    """Read a percentage of one core."""
    return _number(text, 100, "a percentage of one core")


def _number(text: str, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= most:
        raise argparse.ArgumentTypeError(f"{text} is not {what}")
    return value


def timeout(text: str) -> float | None:
    """Return the seconds of a time as kubectl takes it; `None` for 0, its word for no bound of its own."""
    found = re.fullmatch(r"(\d{1,6})(ms|s|m|h)?", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text[:20]} is no time: write 5s, 2m or 0")
    number, unit = found.groups()
    return int(number) * {"ms": 0.001, "m": 60.0, "h": 3600.0}.get(unit, 1.0) or None


def address(text: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 address stands in brackets."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
