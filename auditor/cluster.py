"""The SockAudits of a cluster, for the commands that read them: where they are, and what to say when they cannot be read."""

from auditor.kube.client import ApiError
from auditor.publish.object import GROUP, PLURAL, VERSION

OBJECTS = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
_EXPIRED = 410


def advice(error: ApiError, *, from_file: bool = False) -> str:
    """Say in one line what to do about an API that does not answer as it should.

    Args:
        error: what it said.
        from_file: whether a saved list would do as well.
    """
    if error.reason == "NoResource":
        instead = ", or read a saved list with --from FILE" if from_file else ""
        return f"this cluster has no SockAudits: install the chart first{instead}."
    if error.status == _EXPIRED:
        instead = ", or save one with kubectl get sockaudits -o json" if from_file else ""
        return f"the list grew too old while it was read. Try again{instead}."
    if from_file:
        return f"{error}. Use --from FILE to read a saved list, or check --context."
    return f"{error}. Check --context and --kubeconfig."
