"""Ground truth: workloads that say what they hold, on the live kernel."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from truth.starting import Start, workload


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() == 0:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("the truth tests need root")
    pytest.skip("needs root: own network namespaces and other users' descriptors")


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a workload; returns what it says it holds."""
    with ExitStack() as stack:
        yield lambda name, *arguments: stack.enter_context(workload(name, *arguments))


@pytest.fixture
def uid() -> str:
    return str(uuid.uuid4())
