"""The server that a pod's own service account is for."""

import subprocess
import sys
from pathlib import Path

import pytest

from auditor.kube.client import ApiError, connect
from auditor.kube.server import NoConfigError, of_this_pod


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    (tmp_path / "ca.crt").write_text("trust")
    (tmp_path / "token").write_text("first\n")
    return tmp_path


def test_it_is_found_and_a_renewed_token_is_read_anew(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = of_this_pod(account)
    assert server.url == "https://10.0.0.1:6443"
    assert server.pool.connection_pool_kw["ca_certs"] == str(account / "ca.crt")
    assert server.pool.connection_pool_kw["cert_reqs"] == "CERT_REQUIRED"
    assert server.credentials() == {"authorization": "Bearer first"}
    (account / "token").write_text("second\n")
    assert server.credentials() == {"authorization": "Bearer second"}
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert of_this_pod(account).url == "https://[fd00::1]:6443"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("ca.crt", None, "automountServiceAccountToken"),
        ("token", None, "cannot be read"),
        ("token", "\n", "holds no token"),
        ("token", "one\r\nanother: header", "holds no token"),
        ("token", "\xff", "cannot be read"),
    ],
)
def test_what_is_missing_is_named(account: Path, name: str, text: str | None, words: str) -> None:
    (account / name).unlink()
    if text is not None:
        (account / name).write_text(text, encoding="latin-1")
    with pytest.raises(NoConfigError, match=words) as caught:
        of_this_pod(account)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("account")
def test_a_pod_without_an_account_is_told_so_in_one_line() -> None:
    with pytest.raises(ApiError, match=r"no usable cluster configuration: .* no service account") as caught:
        connect()
    assert caught.value.reason == "NoConfig"


def test_the_agent_does_without_the_kubernetes_package() -> None:
    command = "import sys, auditor.agent; print(sorted({'kubernetes', 'requests'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", "9 MiB on every node"
