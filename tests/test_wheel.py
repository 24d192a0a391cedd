"""The wheel, as it is built and installed elsewhere."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    subprocess.run([*command, folder, PROJECT], check=True, capture_output=True)
    built, archive = list(folder.glob("*.whl")), list(folder.glob("*.tar.gz"))
    assert len(built) == len(archive) == 1
    return built[0]


def test_it_holds_the_package_its_types_and_its_licence_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"auditor", "sockaudit"}
    assert "auditor/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    clang = shutil.which("clang") is not None
    if not clang and os.environ.get("CI") == "true":
        pytest.fail("there is no clang: tests/bed/packages.sh installs it")
    assert ("auditor/kernel/bpf/sockaudit.bpf.o" in names) == clang


def test_installed_alone_it_audits_this_machine(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies come from the environment of the tests; the package itself only from the wheel."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    site = next((tmp_path / "env" / "lib").glob("python3*/site-packages"))
    installed = Path(pytest.__file__).parents[1]
    # Only what is not a path configuration is taken over: the editable install of this project is one.
    for entry in installed.iterdir():
        if entry.suffix != ".pth" and not (site / entry.name).exists() and "sockaudit" not in entry.name:
            (site / entry.name).symlink_to(entry)
    sockaudit = tmp_path / "env" / "bin" / "sockaudit"
    done = subprocess.run([sockaudit, "scan"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "process-fds" in done.stdout
    where = subprocess.run(
        [python, "-c", "import auditor; print(auditor.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(site))
    saved = tmp_path / "saved.json"
    saved.write_text('{"items": []}')
    page = subprocess.run(
        [sockaudit, "report", "--from", saved, "-o", "html"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "No node was found." in page.stdout
    assert "prefers-color-scheme" in page.stdout, "its style comes along"
    plugin = subprocess.run(
        [sockaudit.with_name("kubectl_complete-sockaudit"), "t"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert plugin.stdout.split() == ["top", ":4"]
    assert sockaudit.with_name("kubectl-sockaudit").exists()
