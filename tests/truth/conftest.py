"""Ground truth: workloads that say what they hold, on the live kernel."""

import os
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
