"""An API server that can be asked, whoever found it: this pod's service account, or a kubeconfig."""

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import urllib3

CONNECTIONS: Final = 2  # one request at a time from the agent, and the watch

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoConfigError(Exception):
    """There is no configuration that could be read. The text is one clause."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, and how it is spoken to.

    Attributes:
        url: without a slash at the end.
        pool: connections that trust it.
        credentials: headers that say who asks, read anew each time. Raises `NoConfigError`.
    """

    url: str
    pool: urllib3.PoolManager
    credentials: Callable[[], Mapping[str, str]]


def inside() -> bool:
    """Whether this process is in a pod."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def of_this_pod(account: Path = _ACCOUNT) -> Server:
    """Return the server that this pod's service account is for. No proxy of the environment stands in between.

    The `kubernetes` package would find it too, for 9 MiB of memory on every node. The kubelet renews token and trust in their
    files: the token is read anew for each request, the trust for each connection.
    Source: kubernetes.io, Accessing the Kubernetes API from a Pod.

    Args:
        account: the folder of the service account.

    Raises:
        NoConfigError: the pod has none.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT") or "443"
    trust = account / "ca.crt"
    try:
        ssl.create_default_context(cafile=trust)
    except OSError as error:  # of TLS as well
        why = f"the trust of the pod's service account (automountServiceAccountToken) cannot be read: {trust}: {error}"
        raise NoConfigError(why) from None

    def credentials() -> dict[str, str]:
        try:
            token = (account / "token").read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise NoConfigError(f"the token of the service account cannot be read: {error}") from None
        return {"authorization": as_header(f"Bearer {token}")}

    credentials()
    pool = urllib3.PoolManager(maxsize=CONNECTIONS, cert_reqs="CERT_REQUIRED", ca_certs=str(trust))
    return Server(f"https://{f'[{host}]' if ':' in host else host}:{port}", pool, credentials)


def as_header(credential: str) -> str:
    """Return the value of a header, without the line break at its end that files have.

    Raises:
        NoConfigError: it is no such value. What it is is not said: errors are logged.
    """
    value = credential.strip()
    if not value.isascii() or not value.isprintable() or value == "Bearer":
        raise NoConfigError("the token is empty, or holds what no header may")
    return value
