"""Ground truth: workloads that say what they hold, on the live kernel."""

import fcntl
import os
import random
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from truth import sources
from truth.starting import Start, workload


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() == 0:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("the truth tests need root")
    pytest.skip("needs root: own network namespaces and other users' descriptors")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    only = metafunc.definition.get_closest_marker("source")
    metafunc.parametrize("source", only.args if only else sources.SOURCES, indirect=True)


@pytest.fixture(autouse=True)
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sources, "current", request.param)
    return str(request.param)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a workload; returns what it says it holds."""
    with ExitStack() as stack:
        yield lambda name, *arguments: stack.enter_context(workload(name, *arguments))


@pytest.fixture
def uid() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def user() -> int:
    """A user that nobody else is, nor was in another run: the kernel takes its time to forget."""
    return random.randrange(1_000_000, 1 << 31)


@pytest.fixture
def alone() -> Iterator[None]:
    """Wait for other runs of these tests on this machine: what one has filled is full for all."""
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
