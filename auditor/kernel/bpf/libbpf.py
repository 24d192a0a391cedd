"""A thin binding of libbpf: load an object, read its iterators, fill and empty its maps."""

import ctypes
import os
import re
from collections.abc import Callable, Iterator
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Final

from auditor.kernel.errors import Absent, Denied, Malformed

_LIBRARY: Final = "libbpf.so.1"
_PIECE: Final = 32 << 10  # what the kernel buffers of an iterator: records are never cut
_BATCH: Final = 1024
_LOG_BYTES: Final = 1 << 20
_WARNING: Final = 0
_MADE_UP_NAME: Final = re.compile(r" '[0-9a-f]+-[0-9a-f]+'")  # of an object in memory: its address and size
_Print = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
_LOOKUP: Final = (c_int, c_void_p, c_void_p, c_void_p, c_void_p, POINTER(c_uint32), c_void_p)
_SIGNATURES: Final[tuple[tuple[str, Any, tuple[Any, ...]], ...]] = (
    ("libbpf_set_print", c_void_p, (c_void_p,)),
    ("bpf_object__open_mem", c_void_p, (c_char_p, c_size_t, c_void_p)),
    ("bpf_object__load", c_int, (c_void_p,)),
    ("bpf_object__close", None, (c_void_p,)),
    ("bpf_object__next_program", c_void_p, (c_void_p, c_void_p)),
    ("bpf_object__next_map", c_void_p, (c_void_p, c_void_p)),
    ("bpf_program__name", c_char_p, (c_void_p,)),
    ("bpf_program__attach_iter", c_void_p, (c_void_p, c_void_p)),
    ("bpf_map__name", c_char_p, (c_void_p,)),
    ("bpf_map__fd", c_int, (c_void_p,)),
    ("bpf_link__fd", c_int, (c_void_p,)),
    ("bpf_link__destroy", c_int, (c_void_p,)),
    ("bpf_iter_create", c_int, (c_int,)),
    ("bpf_map_update_elem", c_int, (c_int, c_char_p, c_char_p, c_uint64)),
    ("bpf_map_update_batch", c_int, (c_int, c_char_p, c_char_p, POINTER(c_uint32), c_void_p)),
    ("bpf_map_lookup_batch", c_int, _LOOKUP),
    ("bpf_map_lookup_and_delete_batch", c_int, _LOOKUP),
)


class Object:
    """A loaded object: its programs attached, its maps open. Holds descriptors only; libbpf's own memory is given back.

    Args:
        data: the compiled object.

    Raises:
        Absent: libbpf is not installed, or the kernel lacks something. Denied: CAP_BPF or CAP_PERFMON is missing.
        Malformed: anything else, with the last words of libbpf or of the verifier.
    """

    def __init__(self, data: bytes) -> None:
        self._maps: dict[str, int] = {}
        self._links: dict[str, int] = {}
        self._said: list[str] = []
        self._library = _load_library()
        listener = _Print(_listener(self._said))
        self._library.libbpf_set_print(listener)
        handle = None
        try:
            handle = self._library.bpf_object__open_mem(data, len(data), None)
            if not handle:
                self._fail("open")
            if self._library.bpf_object__load(handle) < 0:
                self._fail("load")
            self._take(handle)
        except BaseException:
            self.close()
            raise
        finally:
            if handle:
                self._library.bpf_object__close(handle)
            self._library.libbpf_set_print(None)

    def _take(self, handle: int) -> None:
        library = self._library
        for one in _each(library.bpf_object__next_map, handle):
            self._maps[library.bpf_map__name(one).decode()] = os.dup(library.bpf_map__fd(one))
        for one in _each(library.bpf_object__next_program, handle):
            link = library.bpf_program__attach_iter(one, None)
            if not link:
                self._fail("attach")
            self._links[library.bpf_program__name(one).decode()] = os.dup(library.bpf_link__fd(link))
            library.bpf_link__destroy(link)

    def close(self) -> None:
        """Let go of everything. Harmless when repeated."""
        for descriptors in (self._maps, self._links):
            while descriptors:
                os.close(descriptors.popitem()[1])

    def read(self, program: str) -> Iterator[bytes]:
        """Run an iterator and yield what it writes, whole records at a time."""
        fd = self._library.bpf_iter_create(self._links[program])
        if fd < 0:
            self._fail(f"iterator {program}")
        try:
            while True:
                try:
                    piece = os.read(fd, _PIECE)
                except BlockingIOError:  # a million objects without output; it goes on from there
                    continue
                except OSError as error:
                    raise Malformed(f"iterator {program}: {os.strerror(error.errno or 0)}") from None
                if not piece:
                    return
                yield piece
        finally:
            os.close(fd)

    def update(self, name: str, key: bytes, value: bytes) -> None:
        """Put an entry into a map."""
        if self._library.bpf_map_update_elem(self._maps[name], key, value, 0) < 0:
            self._fail(f"map {name}")

    def update_all(self, name: str, keys: bytes, values: bytes, number: int) -> None:
        """Put so many entries into a hash map; keys and values stand end to end."""
        many = c_uint32(number)
        if number and self._library.bpf_map_update_batch(self._maps[name], keys, values, ctypes.byref(many), None) < 0:
            self._fail(f"map {name}")

    def entries(self, name: str, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield what is in a hash map: (keys, values), some at a time, end to end."""
        return self._batches(self._library.bpf_map_lookup_batch, name, key_size, value_size)

    def drain(self, name: str, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
        """Empty a hash map, yielding what was in it in the same way."""
        return self._batches(self._library.bpf_map_lookup_and_delete_batch, name, key_size, value_size)

    def _batches(
        self, look_up: Callable[..., int], name: str, key_size: int, value_size: int
    ) -> Iterator[tuple[bytes, bytes]]:
        size = _BATCH
        token = ctypes.create_string_buffer(max(8, key_size))
        before: object = None
        while True:
            keys, values = ctypes.create_string_buffer(key_size * size), ctypes.create_string_buffer(value_size * size)
            number = c_uint32(size)
            done = look_up(self._maps[name], before, token, keys, values, ctypes.byref(number), None)
            fault = ctypes.get_errno() if done < 0 else 0
            if fault == _ENOSPC:  # one bucket has more entries than there is room for
                size *= 2
                continue
            if fault not in (0, _ENOENT):
                self._fail(f"map {name}")
            yield ctypes.string_at(keys, number.value * key_size), ctypes.string_at(values, number.value * value_size)
            if fault:
                return
            before = token

    def _fail(self, what: str) -> None:
        number = ctypes.get_errno()
        verdict = self._verdict()
        if verdict:
            raise Malformed(f"the kernel's verifier refuses the programs: {verdict}")
        words = f"{what}: {os.strerror(number)}" + (f" ({self._said[-1]})" if self._said else "")
        if number in (_EPERM, _EACCES):
            raise Denied(words)
        if number in (_ENOENT, _ESRCH, _EOPNOTSUPP):
            raise Absent(words)
        raise Malformed(words)

    def _verdict(self) -> str | None:
        """Return the verifier's last words before it says how far it came; `None` when it was not asked."""
        ends = [number for number, line in enumerate(self._said) if line.startswith("processed ")]
        return self._said[ends[-1] - 1] if ends and ends[-1] else None


_EPERM, _ENOENT, _ESRCH, _EACCES, _ENOSPC, _EOPNOTSUPP = 1, 2, 3, 13, 28, 95


def _load_library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY, use_errno=True)
    except OSError:
        raise Absent(f"{_LIBRARY} is not installed") from None
    for name, result, arguments in _SIGNATURES:
        try:
            function = getattr(library, name)
        except AttributeError:
            raise Absent(f"{_LIBRARY} has no {name}: version 1.0 or newer is needed") from None
        function.restype, function.argtypes = result, arguments
    return library


def _listener(said: list[str]) -> Callable[[int, bytes, int], int]:
    """Take down what libbpf would print on stderr: the lines of its warnings."""
    libc = ctypes.CDLL(None)

    def listen(level: int, words: bytes, arguments: int) -> int:
        if level == _WARNING:
            buffer = ctypes.create_string_buffer(_LOG_BYTES)
            libc.vsnprintf(buffer, c_size_t(_LOG_BYTES), c_char_p(words), c_void_p(arguments))
            text = _MADE_UP_NAME.sub("", buffer.value.decode(errors="replace"))
            said.extend(line.strip() for line in text.splitlines() if line.strip())
        return 0

    return listen


def _each(following: Callable[[int, int | None], int | None], handle: int) -> Iterator[int]:
    one: int | None = None
    while one := following(handle, one):
        yield one
