"""What can go wrong when the kernel is read. Readers and parsers below `auditor.kernel` raise these and no other."""


class KernelError(Exception):
    """A kernel file or call gave no usable answer. The text names the file."""


class Gone(KernelError):  # noqa: N818 - these name what was met, as in `except Gone`
    """The process ended, and its directory proves it. Not a fault: it is no longer there to be counted."""


class Absent(KernelError):  # noqa: N818
    """The file does not exist: an older kernel, a feature not built in, or a tree that was recorded without it."""


class Denied(KernelError):  # noqa: N818
    """The kernel refused for want of a capability (EACCES or EPERM)."""


class Malformed(KernelError):  # noqa: N818
    """The content is not what the kernel writes, or reading it failed in a way no live kernel shows."""
