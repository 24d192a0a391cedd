"""Names of nodes, as the API takes them: RFC 1123 subdomains."""

import os
import platform
import re

UNNAMED = "node"
_LONGEST = 253
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_node_name(text: str) -> bool:
    """Whether an object may have this name."""
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def as_node_name(text: str) -> str:
    """Return the name that stands for a host name, as the kubelet makes it: in lower case. Empty where nothing is left."""
    shown = re.sub(r"[^a-z0-9.]+", "-", text.lower())
    return re.sub(r"[-.]*\.[-.]*", ".", shown).strip("-.")[:_LONGEST].strip("-.")


def own_name() -> str:
    """Return what this node is called: NODE_NAME, which the chart sets, or its host name."""
    return os.environ.get("NODE_NAME") or as_node_name(platform.node()) or UNNAMED
