"""/proc/key-users, keyrings(7): the keys each user holds and may hold."""

import re
from dataclasses import dataclass

from auditor.kernel.errors import Malformed
from auditor.kernel.root import ProcDirectory

_LINE = re.compile(rb"\s*(\d{1,10}):\s+\d+ \d+/\d+ (\d{1,12})/(\d{1,12}) (\d{1,12})/(\d{1,12})")


@dataclass(frozen=True, slots=True)
class KeyUser:
    """One user, as the reader's user namespace numbers it.

    Attributes:
        keys: keys that count against the quota.
        keys_max: kernel.keys.maxkeys, or root_maxkeys for root.
        bytes: of their descriptions and payloads.
        bytes_max: kernel.keys.maxbytes, or root_maxbytes.
    """

    uid: int
    keys: int
    keys_max: int
    bytes: int
    bytes_max: int


def read(top: ProcDirectory) -> list[KeyUser]:
    """Read all users that hold a key. Anyone may."""
    return parse(top.read("key-users", records=True))


def parse(data: bytes) -> list[KeyUser]:
    """Parse lines of `uid: usage keys/instantiated quota-keys/max quota-bytes/max`."""
    users = []
    for line in data.split(b"\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line.rstrip())
        if not match:
            raise Malformed("key-users")
        users.append(KeyUser(*map(int, match.groups())))
    return users
