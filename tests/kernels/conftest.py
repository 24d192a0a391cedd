"""Other kernels boot in emulation while the rest of the suite runs, and are asked for at its end."""

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PYTHON = "3.11"  # of the emulated system, Debian 12
RUN = """
modprobe nf_conntrack
echo 4096 > /proc/sys/net/netfilter/nf_conntrack_max
cd project
export CI=true SOCKAUDIT_EMULATED=1 SOCKAUDIT_SWARM=500 SOCKAUDIT_CLIENTS=500 PYTHONPATH=/work/site PYTHONDONTWRITEBYTECODE=1
exec python3 -m pytest -p no:cacheprovider --color=no -q -o python_files='test_*.py lowered.py' tests/truth
"""
# Too old for the programs: what is told of it, and the tests of the source that takes over.
TAKES_OVER = """
modprobe nf_conntrack
cd project
export CI=true SOCKAUDIT_EMULATED=1 SOCKAUDIT_SWARM=500 SOCKAUDIT_CLIENTS=500
export PYTHONPATH=/work/site:/work/project:/work/project/tests PYTHONDONTWRITEBYTECODE=1
python3 -m truth.takes_over || exit
exec python3 -m pytest -p no:cacheprovider --color=no -q -k 'procfs and not takes_over' tests/truth
"""
SCRIPTS = {"5.10": TAKES_OVER}


class Emulations:
    """Boots two kernels at a time, each of which keeps about one core busy, and gives way to what else runs."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="sockaudit-kernels-")
        self._folder = Path(self._temporary.name)
        self._workers = ThreadPoolExecutor(max_workers=2)
        self._running: list[subprocess.Popen[str]] = []
        self._ended: dict[str, Future[tuple[int, str]]] = {}
        self._ready = self._workers.submit(self._prepare)

    def start(self, series: str) -> None:
        """Queue a boot."""
        self._ended[series] = self._workers.submit(self._boot, series)

    def result(self, series: str, seconds: float) -> tuple[int, str]:
        """Wait for a boot's end; its exit code and what it printed."""
        return self._ended[series].result(seconds)

    def stop(self) -> None:
        """End what still runs, when the session ends early."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        for one in self._running:
            if one.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(one.pid, signal.SIGTERM)
        self._temporary.cleanup()

    def _prepare(self) -> None:
        """Gather what the tests need beyond the standard library, and the project."""
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--python-version", PYTHON]
        needed = ("pytest", "pytest-timeout", "pydantic", "pyyaml", "rich")
        subprocess.run([*install, "--target", self._folder / "site", *needed], check=True)
        (self._folder / "project").mkdir()
        names = ["pyproject.toml", "auditor", "tests/truth"]
        subprocess.run(["cp", "--recursive", "--parents", *names, self._folder / "project"], cwd=PROJECT, check=True)

    def _boot(self, series: str) -> tuple[int, str]:
        self._ready.result()
        folders = [self._folder / "site", self._folder / "project"]
        running = subprocess.Popen(
            ["nice", "-n", "5", PROJECT / "tests/bed/kernel.sh", series, SCRIPTS.get(series, RUN), *folders],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running.append(running)
        printed, _ = running.communicate()
        return running.returncode, printed


_EMULATIONS = pytest.StashKey[Emulations]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent == HERE)


def pytest_collection_finish(session: pytest.Session) -> None:
    mine = [item for item in session.items if item.path.parent == HERE]
    if not mine or session.config.option.collectonly:
        return
    emulations = session.config.stash[_EMULATIONS] = Emulations()
    for item in mine:
        emulations.start(item.callspec.params["series"])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if emulations := config.stash.get(_EMULATIONS, None):
        emulations.stop()


@pytest.fixture
def emulations(request: pytest.FixtureRequest) -> Emulations:
    return request.config.stash[_EMULATIONS]
