"""Compile the programs: `python -m auditor.kernel.bpf.compile`. Needs clang and the headers of Linux and libbpf.

The object is the same for every architecture of one byte order, and for every kernel.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from auditor.kernel.bpf.artifact import OBJECT, SOURCE, source_digest
from auditor.kernel.bpf.header import header


def compile_programs() -> str | None:
    """Write the object beside the source.

    Returns:
        Why that was not possible, in one line; `None` when it was.
    """
    clang = shutil.which("clang")
    if clang is None:
        return "clang is not installed"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "records.h").write_text(header(), encoding="utf-8")
        part = OBJECT.with_suffix(".part")
        headers = Path("/usr/include") / str(sysconfig.get_config_var("MULTIARCH") or "")
        command = [clang, "-target", "bpf", "-g", "-O2", "-Wall", "-Werror", f"-I{folder}", f"-I{headers}"]
        done = subprocess.run(  # noqa: S603 - found on the path of who builds
            [*command, "-c", str(SOURCE), "-o", str(part)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return next((line for line in done.stderr.splitlines() if "error" in line), "clang failed").strip()
        strip = shutil.which("llvm-strip")
        if strip:  # the debugging information, of which libbpf needs BTF only
            subprocess.run([strip, "-g", str(part)], check=False)  # noqa: S603 - the same
        with part.open("ab") as file:
            file.write(source_digest())
        os.replace(part, OBJECT)
    return None


if __name__ == "__main__":
    complaint = compile_programs()
    if complaint:
        sys.exit(f"the BPF programs were not compiled: {complaint}")
