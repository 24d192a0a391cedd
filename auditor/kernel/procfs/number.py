"""Numbers as the kernel prints them."""

_MAXIMUM_DIGITS = 20  # of an unsigned 64-bit number; a longer one is no figure, and cannot be printed
_MAXIMUM_HEX_DIGITS = 16


def natural(text: bytes | str) -> int:
    """Return the number that decimal digits spell.

    Raises:
        ValueError: it is negative, too long, or no number.
    """
    if len(text) > _MAXIMUM_DIGITS or not text.isdigit() or not text.isascii():
        raise ValueError("not a number of the kernel's")
    return int(text)


def hexadecimal(text: bytes | str) -> int:
    """Return the number that hexadecimal digits spell.

    Raises:
        ValueError: it is longer than 64 bits, or no number.
    """
    if len(text) > _MAXIMUM_HEX_DIGITS:
        raise ValueError("not a number of the kernel's")
    return int(text, 16)
