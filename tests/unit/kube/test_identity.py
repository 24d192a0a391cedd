"""What of a pod's document is kept."""

from typing import Any

from auditor.kube.identity import identify
from auditor.model import PodIdentity


def identity(status: dict[str, Any] | None = None, annotations: Any = None, **spec: Any) -> PodIdentity:
    metadata = {"namespace": "shop", "name": "cart-0", "uid": "u", "annotations": annotations}
    found = identify({"metadata": metadata, "spec": spec, "status": status or {}})
    assert found is not None
    return found[1]


def test_addresses_are_those_of_the_pods_own_network_in_the_kernels_spelling() -> None:
    status = {"podIPs": [{"ip": "10.0.0.7"}, {"ip": "FD00:0:0::7"}, {"ip": "no address"}, {"ip": 3}, "x", {}]}
    assert identity(status).addresses == ("10.0.0.7", "fd00::7")
    assert identity(status, hostNetwork=True).addresses == ()
    assert identity({"podIPs": "10.0.0.7"}).addresses == ()


def test_annotations_of_ours_are_kept_and_others_are_not() -> None:
    annotations = {
        "sockaudit.io/process-fds": "70/90\n",
        "sockaudit.io/pids": 7,
        "team": "net",
        "sockaudit.io.evil": "1",
    }
    assert identity(annotations=annotations).wishes == {"process-fds": "70/90", "pids": ""}
    assert identity(annotations=["sockaudit.io/process-fds"]).wishes == {}
    many = identity(annotations={f"sockaudit.io/{number}": "x" * 1000 for number in range(1000)}).wishes
    assert len(many) == 64
    assert all(len(text) <= 256 for text in many.values())
