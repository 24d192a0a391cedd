"""kubectl's own flags: where the cluster is, and who asks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """kubectl's flags of the same names.

    Attributes:
        context: of the kubeconfig; `None`: its current one.
        kubeconfig: a file; `None`: where kubectl looks.
        cluster: of the kubeconfig, in place of the context's.
        user: of the kubeconfig, in place of the context's.
        server: URL of the API, in place of the cluster's.
        impersonate: user to act as.
        seconds: that one request may take; `None`: the client's own bounds.
    """

    context: str | None = None
    kubeconfig: str | None = None
    cluster: str | None = None
    user: str | None = None
    server: str | None = None
    impersonate: str | None = None
    seconds: float | None = None
