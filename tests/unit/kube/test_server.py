"""The server that a pod's own service account is for."""

import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from auditor.kube import kubeconfig
from auditor.kube.access import Access
from auditor.kube.client import ApiError, Client, connect
from auditor.kube.server import NoConfigError, of_this_pod


def certified(folder: Path, address: str = "127.0.0.1") -> None:
    """Write a key and a certificate that says so itself."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("openssl is needed")
        pytest.skip("needs openssl")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key"]
    words = [
        "-x509",
        *key,
        "-out",
        "ca.crt",
        "-days",
        "2",
        "-subj",
        "/CN=it",
        "-addext",
        f"subjectAltName=IP:{address}",
    ]
    subprocess.run(["openssl", "req", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    certified(tmp_path)
    (tmp_path / "token").write_text("first\n")
    return tmp_path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f'{{"asked": "{self.headers["Authorization"]}"}}'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(HTTPServer):
    def handle_error(self, *_: object) -> None:
        """Whoever does not trust it hangs up."""


@pytest.fixture
def serving(account: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server with the account's certificate; its context, so that it may be given another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(account / "ca.crt", account / "key")
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_address[1]))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield context
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_is_found(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_this_pod(account).url == "https://127.0.0.1:6443"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "")
    assert of_this_pod(account).url == "https://[fd00::1]:443"


@pytest.mark.usefixtures("serving")
def test_a_renewed_token_is_read_anew_and_no_proxy_is_asked(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    client = Client(lambda: of_this_pod(account))
    assert client.get("/")["asked"] == "Bearer first"
    (account / "token").write_text("second\n")
    assert client.get("/")["asked"] == "Bearer second"


def test_who_is_not_trusted_is_not_told_the_token(
    account: Path, serving: ssl.SSLContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    client = Client(lambda: of_this_pod(account))
    for address, words in (("127.0.0.1", "certificate verify failed"), ("127.0.0.2", "127.0.0.1")):
        other = tmp_path_factory.mktemp("other")
        certified(other, address)
        serving.load_cert_chain(other / "ca.crt", other / "key")
        if address != "127.0.0.1":  # trusted, but another server's
            shutil.copy(other / "ca.crt", account)
        with pytest.raises(ApiError, match=words) as caught:
            client.get("/")
        assert caught.value.reason == "NoAnswer"


def test_renewed_trust_holds_for_the_next_connection(
    account: Path, serving: ssl.SSLContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    client = Client(lambda: of_this_pod(account))
    assert client.get("/")
    renewed = tmp_path_factory.mktemp("renewed")
    certified(renewed)
    serving.load_cert_chain(renewed / "ca.crt", renewed / "key")
    shutil.copy(renewed / "ca.crt", account)
    assert client.get("/"), "each request had a connection of its own: HTTP/1.0"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("ca.crt", None, "automountServiceAccountToken"),
        ("ca.crt", "", "ca.crt"),
        ("ca.crt", "trust me", "ca.crt"),
        ("token", None, "cannot be read"),
        ("token", "\n", "token is empty"),
        ("token", "one\r\nanother: header", "what no header may"),
        ("token", "a\0b", "what no header may"),
        ("token", "\xff", "cannot be read"),
    ],
)
def test_what_is_missing_is_named_and_a_token_never_told(
    account: Path, name: str, text: str | None, words: str
) -> None:
    (account / name).unlink()
    if text is not None:
        (account / name).write_text(text, encoding="latin-1")
    with pytest.raises(NoConfigError, match=words) as caught:
        of_this_pod(account)
    assert "\n" not in str(caught.value)
    assert "another" not in str(caught.value)


def test_a_folder_that_is_closed_is_named(account: Path) -> None:
    if os.geteuid() == 0:
        account = account / "key"  # root may enter any folder, but not a file: the same way out
    else:
        account.chmod(0)
    with pytest.raises(NoConfigError, match="cannot be read"):
        of_this_pod(account)


@pytest.mark.usefixtures("account")
def test_a_pod_without_an_account_is_told_so_in_one_line() -> None:
    with pytest.raises(ApiError, match=r"no usable cluster configuration: .* service account") as caught:
        connect()
    assert caught.value.reason == "NoConfig"


def test_a_proxy_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(
        "{current-context: it, contexts: [{name: it, context: {cluster: it, user: it}}], users: [{name: it, user: {}}],"
        " clusters: [{name: it, cluster: {server: 'https://127.0.0.1:1'}}]}"
    )
    monkeypatch.setenv("HTTPS_PROXY", "ftp://127.0.0.1:1")
    with pytest.raises(NoConfigError, match="unsupported scheme ftp"):
        kubeconfig.server(Access(kubeconfig=str(path)))


def test_the_agent_does_without_the_kubernetes_package() -> None:
    command = "import sys, auditor.agent; print(sorted({'kubernetes', 'requests'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", "9 MiB on every node"
