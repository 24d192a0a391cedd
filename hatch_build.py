"""Compiles the BPF programs while a wheel is built, if clang is there. Without them the agent reads procfs."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProgramsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before the files of a wheel are gathered."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Leave the object beside its source, or say why not."""
        if not Path(self.root, "auditor", "kernel", "bpf").is_dir():
            return  # a first layer of an image, which holds the dependencies only
        sys.path.insert(0, self.root)
        from auditor.kernel.bpf.compile import compile_programs  # noqa: PLC0415 - only now can it be found

        complaint = compile_programs()
        if complaint:
            self.app.display_warning(f"the BPF programs are not compiled: {complaint}; the agent will read procfs")
