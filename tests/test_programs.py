"""The BPF programs and their compiler."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from auditor.kernel.bpf import artifact, libbpf
from auditor.kernel.bpf import compile as compiler
from auditor.kernel.errors import Absent, Malformed

REFUSED = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("iter/task") int reads_anything(void *ctx) { return *(volatile int *)(*(long *)ctx + 3); }
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture(autouse=True)
def _able() -> None:
    if shutil.which("clang") and os.geteuid() == 0:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("clang and root are needed")
    pytest.skip("needs clang and root")


def test_what_is_compiled_is_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made.o"
    monkeypatch.setattr(compiler, "OBJECT", made)
    assert compiler.compile_programs() is None
    loaded = libbpf.Object(artifact.read(str(made)))
    assert sum(map(len, loaded.read("tasks"))) == 0, "told nothing yet, it knows no PID namespace to show"
    loaded.close()


def test_what_was_made_of_another_header_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made.o"
    for part in artifact.SOURCE.parent.glob("*.[hc]"):
        shutil.copy(part, tmp_path)
    for room in (artifact, compiler):
        monkeypatch.setattr(room, "SOURCE", tmp_path / artifact.SOURCE.name)
    monkeypatch.setattr(compiler, "OBJECT", made)
    (tmp_path / "records.h").write_text("#error that is made of records.py, whatever lies here")
    assert compiler.compile_programs() is None
    assert artifact.read(str(made))
    with (tmp_path / "kernel.h").open("a") as header:
        header.write("// changed\n")
    with pytest.raises(Absent, match="another version's source"):
        artifact.read(str(made))


def test_a_source_that_does_not_compile_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "wrong.bpf.c"
    source.write_text("int main( {")
    monkeypatch.setattr(compiler, "SOURCE", source)
    monkeypatch.setattr(compiler, "OBJECT", tmp_path / "made.o")
    complaint = compiler.compile_programs()
    assert complaint is not None
    assert "error: expected" in complaint
    assert not (tmp_path / "made.o").exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler.compile_programs() == "clang is not installed"


def test_what_the_verifier_says_is_passed_on(tmp_path: Path) -> None:
    source, made = tmp_path / "refused.bpf.c", tmp_path / "refused.bpf.o"
    source.write_text(REFUSED)
    headers = next(path for path in Path("/usr/include").glob("*-linux-gnu") if (path / "asm").exists())
    subprocess.run(["clang", "-target", "bpf", "-g", "-O2", f"-I{headers}", "-c", source, "-o", made], check=True)
    with pytest.raises(Malformed, match="the kernel's verifier refuses the programs: cannot access") as refusal:
        libbpf.Object(made.read_bytes())
    assert "\n" not in str(refusal.value)
