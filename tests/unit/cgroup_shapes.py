"""/proc/PID/cgroup as runtimes, drivers and hosts write it, and whose process it is.

A shape is its text and what it names: ("pod", uid, container), ("container", id), ("unit", name) or ("host",).
Ids stand for themselves below; letters in the texts are replaced by them.
"""

from dataclasses import dataclass

UID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
SECOND = "11112222-3333-4444-5555-666677778888"
HASH = "0123456789abcdef0123456789abcdef"
CID = "ab" * 32
INNER = "cd" * 32
NODE = "ef" * 32
TASK = "8e13a9ab-5b7e-4c1b-9d0f-2f2f9b3f0c6d"


@dataclass(frozen=True, slots=True)
class Shape:
    """One file and what is to be found in it."""

    name: str
    text: str
    owner: tuple[str | None, ...]


def _fill(text: str) -> str:
    words = {
        "<UID>": UID, "<U_ID>": UID.replace("-", "_"), "<SECOND>": SECOND, "<HASH>": HASH, "<CID>": CID,
        "<INNER>": INNER, "<NODE>": NODE, "<TASK>": TASK,
    }  # fmt: skip
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _v1(path: str) -> str:
    return "".join(
        f"{number}:{name}:{path}\n" for number, name in ((12, "pids"), (4, "cpu,cpuacct"), (1, "name=systemd"))
    )


def _v2(path: str) -> str:
    return f"0::{path}\n"


_POD = ("pod", UID, CID)
_POD_ONLY = ("pod", UID, None)
_STATIC = ("pod", HASH, CID)
_HOST = ("host",)
_BURSTABLE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<U_ID>.slice"
_NESTED = (
    "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod<U_ID>.slice"
)

_TABLE: list[tuple[str, str, tuple[str | None, ...]]] = [
    # The kubelet's drivers, by quality of service.
    ("cgroupfs v1 guaranteed", _v1("/kubepods/pod<UID>/<CID>"), _POD),
    ("cgroupfs v1 burstable", _v1("/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("cgroupfs v1 besteffort", _v1("/kubepods/besteffort/pod<UID>/<CID>"), _POD),
    ("cgroupfs v2 guaranteed", _v2("/kubepods/pod<UID>/<CID>"), _POD),
    ("cgroupfs v2 burstable", _v2("/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("systemd v1 guaranteed", _v1("/kubepods.slice/kubepods-pod<U_ID>.slice/cri-containerd-<CID>.scope"), _POD),
    ("systemd v1 burstable", _v1(_BURSTABLE + "/cri-containerd-<CID>.scope"), _POD),
    ("systemd v2 burstable", _v2(_BURSTABLE + "/cri-containerd-<CID>.scope"), _POD),
    (
        "systemd v2 besteffort",
        _v2("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<U_ID>.slice/cri-containerd-<CID>.scope"),
        _POD,
    ),
    ("the pod's own cgroup, cgroupfs", _v1("/kubepods/burstable/pod<UID>"), _POD_ONLY),
    ("the pod's own cgroup, systemd", _v2(_BURSTABLE), _POD_ONLY),
    ("a removed cgroup of version 2", _v2(_BURSTABLE + "/cri-containerd-<CID>.scope (deleted)"), _POD),
    # Static pods: the hash of the manifest in place of a uid.
    ("static, cgroupfs", _v1("/kubepods/burstable/pod<HASH>/<CID>"), _STATIC),
    ("static, guaranteed", _v2("/kubepods/pod<HASH>/<CID>"), _STATIC),
    (
        "static, systemd",
        _v2("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<HASH>.slice/cri-containerd-<CID>.scope"),
        _STATIC,
    ),
    ("static, CRI-O", _v2("/kubepods.slice/kubepods-pod<HASH>.slice/crio-<CID>.scope"), _STATIC),
    # containerd.
    ("colon form in its tree", _v1(_BURSTABLE + ":cri-containerd:<CID>"), _POD),
    ("colon form at the root", _v1("/kubepods-burstable-pod<U_ID>.slice:cri-containerd:<CID>"), _POD),
    (
        "colon form below the runtime's unit",
        _v1("/system.slice/containerd.service/kubepods-burstable-pod<U_ID>.slice:cri-containerd:<CID>"),
        _POD,
    ),
    (
        "colon form, guaranteed",
        _v2("/system.slice/containerd.service/kubepods-pod<U_ID>.slice:cri-containerd:<CID>"),
        _POD,
    ),
    (
        "colon form, static",
        _v1("/system.slice/containerd.service/kubepods-besteffort-pod<HASH>.slice:cri-containerd:<CID>"),
        _STATIC,
    ),
    ("a prefix with cgroupfs", _v1("/kubepods/burstable/pod<UID>/cri-containerd-<CID>"), _POD),
    ("outside of a kubepods tree", _v1("/pods/pod<UID>/<CID>"), _POD),
    # CRI-O.
    ("CRI-O, systemd", _v2(_BURSTABLE + "/crio-<CID>.scope"), _POD),
    ("CRI-O, v1", _v1(_BURSTABLE + "/crio-<CID>.scope"), _POD),
    ("CRI-O, cgroupfs", _v1("/kubepods/burstable/pod<UID>/crio-<CID>"), _POD),
    ("CRI-O, nested container", _v2(_BURSTABLE + "/crio-<CID>.scope/container"), _POD),
    ("CRI-O, nested cgroupfs", _v2("/kubepods/pod<UID>/crio-<CID>/container"), _POD),
    ("conmon, systemd", _v2(_BURSTABLE + "/crio-conmon-<CID>.scope"), _POD_ONLY),
    ("conmon, cgroupfs", _v1("/kubepods/besteffort/pod<UID>/crio-conmon-<CID>"), _POD_ONLY),
    ("conmon in its slice", _v2("/system.slice/crio-conmon-<CID>.scope"), ("unit", "crio-conmon-<CID>.scope")),
    ("conmon beside its container", _v2(_BURSTABLE + "/crio-<CID>.scope/conmon"), _POD),
    # docker and cri-dockerd.
    ("docker in a pod, systemd", _v2(_BURSTABLE + "/docker-<CID>.scope"), _POD),
    ("docker in a pod, v1", _v1(_BURSTABLE + "/docker-<CID>.scope"), _POD),
    ("cri-dockerd, cgroupfs", _v1("/kubepods/besteffort/pod<UID>/<CID>"), _POD),
    # Nodes inside of containers.
    ("kind, v1", _v1("/docker/<NODE>/kubelet/kubepods/besteffort/pod<UID>/<CID>"), _POD),
    ("kind, v1, plain", _v1("/docker/<NODE>/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("kind, v2", _v2("/system.slice/docker-<NODE>.scope/" + _NESTED + "/cri-containerd-<CID>.scope"), _POD),
    ("kind, seen from the node", _v2("/" + _NESTED + "/cri-containerd-<CID>.scope"), _POD),
    (
        "kind, guaranteed",
        _v2("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod<U_ID>.slice/cri-containerd-<CID>.scope"),
        _POD,
    ),
    ("kind in podman", _v2("/machine.slice/libpod-<NODE>.scope/" + _NESTED + "/cri-containerd-<CID>.scope"), _POD),
    ("kind in podman, container", _v2("/libpod_parent/libpod-<NODE>/kubelet/kubepods/pod<UID>/<CID>"), _POD),
    ("minikube in docker", _v1("/docker/<NODE>/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("minikube, systemd", _v2("/system.slice/docker-<NODE>.scope" + _BURSTABLE + "/docker-<CID>.scope"), _POD),
    ("minikube, CRI-O", _v2("/system.slice/docker-<NODE>.scope" + _BURSTABLE + "/crio-<CID>.scope"), _POD),
    ("k3d, v1", _v1("/docker/<NODE>/kubepods/besteffort/pod<UID>/<CID>"), _POD),
    ("k3d, v2", _v2("/system.slice/docker-<NODE>.scope/kubepods/besteffort/pod<UID>/<CID>"), _POD),
    ("a node in lxc", _v2("/lxc.payload.node1/kubepods/burstable/pod<UID>/<CID>"), _POD),
    # Seen from a cgroup namespace: what lies outside of it is `..`.
    ("relative, cgroupfs", _v2("/../../pod<UID>/<CID>"), _POD),
    ("relative, one level", _v2("/../pod<UID>/<CID>"), _POD),
    ("relative, with its class", _v2("/../../../burstable/pod<UID>/<CID>"), _POD),
    ("relative, from the root of the tree", _v2("/../../../../kubepods/besteffort/pod<UID>/<CID>"), _POD),
    ("relative, systemd", _v2("/../../kubepods-burstable-pod<U_ID>.slice/cri-containerd-<CID>.scope"), _POD),
    ("relative, guaranteed", _v2("/../kubepods-pod<U_ID>.slice/crio-<CID>.scope"), _POD),
    ("relative, no container", _v2("/../../pod<UID>"), _POD_ONLY),
    ("relative, class but no container", _v2("/../../../besteffort/pod<UID>"), _POD_ONLY),
    ("relative, static", _v2("/../../pod<HASH>/<CID>"), _STATIC),
    ("relative, a unit", _v2("/../../../../system.slice/kubelet.service"), ("unit", "kubelet.service")),
    # Engines and systems inside of a pod: the container is the cluster's own.
    ("docker in a pod's container", _v1("/kubepods/burstable/pod<UID>/<CID>/docker/<INNER>"), _POD),
    ("docker in a pod, v2", _v2(_BURSTABLE + "/cri-containerd-<CID>.scope/docker/<INNER>"), _POD),
    ("podman in a pod", _v2(_BURSTABLE + "/crio-<CID>.scope/libpod_parent/libpod-<INNER>"), _POD),
    ("systemd in a pod", _v2(_BURSTABLE + "/cri-containerd-<CID>.scope/system.slice/nginx.service"), _POD),
    ("systemd in a pod, init", _v2(_BURSTABLE + "/cri-containerd-<CID>.scope/init.scope"), _POD),
    ("buildkit in a pod", _v1("/kubepods/pod<UID>/<CID>/buildkit/<INNER>"), _POD),
    ("a node in a pod", _v1("/kubepods/pod<UID>/<CID>/kubelet/kubepods/burstable/pod<SECOND>/<INNER>"), _POD),
    # Hierarchies that disagree: any line that names a pod counts.
    ("hybrid, v1 at the root", "4:cpu:/\n1:name=systemd:/\n" + _v2("/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("hybrid, v2 at the root", _v1("/kubepods/burstable/pod<UID>/<CID>") + _v2("/"), _POD),
    ("hybrid, v2 in a unit", _v1("/kubepods/pod<UID>/<CID>") + _v2("/system.slice/containerd.service"), _POD),
    ("container in one line only", "5:cpu:/kubepods/pod<UID>\n4:pids:/kubepods/pod<UID>/<CID>\n", _POD),
    (
        "microk8s",
        "12:pids:/system.slice/snap.microk8s.daemon-containerd.service\n11:memory:/kubepods/besteffort/pod<UID>/<CID>\n",
        _POD,
    ),
    ("a container of docker in another line", "9:pids:/docker/<NODE>\n1:cpu:/kubepods/pod<UID>/<CID>\n", _POD),
    ("no controllers in some lines", "0::/\n13:misc:/\n7:net_cls,net_prio:/kubepods/pod<UID>/<CID>\n", _POD),
    # Distributions and clouds.
    ("k3s", _v1("/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("k3s, v2 below its unit", _v2("/system.slice/k3s.service/kubepods/burstable/pod<UID>/<CID>"), _POD),
    (
        "k3s without root",
        _v2("/user.slice/user-1000.slice/user@1000.service/k3s-rootless.service/kubepods/burstable/pod<UID>/<CID>"),
        _POD,
    ),
    ("Bottlerocket", _v1("/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("Bottlerocket, v2", _v2(_BURSTABLE + "/cri-containerd-<CID>.scope"), _POD),
    ("Fargate", _v1("/ecs/<TASK>/<NODE>/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("Fargate, cluster named", _v1("/ecs/my-cluster/<TASK>/kubepods/besteffort/pod<UID>/<CID>"), _POD),
    ("Mesos around a node", _v1("/mesos/<TASK>/kubepods/burstable/pod<UID>/<CID>"), _POD),
    ("Mesos around a node, nested", _v1("/mesos/<TASK>/mesos/x/kubepods/pod<UID>/<CID>"), _POD),
    ("kata, its shim", _v1("/kubepods/burstable/pod<UID>/kata_<CID>"), _POD_ONLY),
    # No pods.
    ("docker, cgroupfs", _v1("/docker/<CID>"), ("container", CID)),
    ("docker, systemd", _v2("/system.slice/docker-<CID>.scope"), ("container", CID)),
    ("docker, systemd inside", _v2("/docker/<CID>/system.slice/a.service"), ("container", CID)),
    ("docker, parent of its own", _v1("/my-apps/<CID>"), ("container", CID)),
    ("podman", _v2("/machine.slice/libpod-<CID>.scope"), ("container", CID)),
    ("podman, inner", _v2("/machine.slice/libpod-<CID>.scope/container"), ("container", CID)),
    (
        "podman without root",
        _v2("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-<CID>.scope"),
        ("container", CID),
    ),
    ("podman's conmon", _v2("/machine.slice/libpod-conmon-<CID>.scope"), ("unit", "libpod-conmon-<CID>.scope")),
    ("containerd without Kubernetes", _v2("/default/<CID>"), ("container", CID)),
    ("nerdctl", _v2("/system.slice/nerdctl-<CID>.scope"), ("container", CID)),
    ("a container whose pod is out of sight", _v2("/../cri-containerd-<CID>.scope"), ("container", CID)),
    ("ECS task", _v1("/ecs/<TASK>/<CID>"), ("container", CID)),
    ("ECS task, cluster named", _v1("/ecs/my-cluster/<HASH>/<CID>"), ("container", CID)),
    ("lxc", _v1("/lxc/web"), _HOST),
    ("lxc payload", _v2("/lxc.payload.web/system.slice/nginx.service"), ("unit", "nginx.service")),
    ("nomad", _v2("/nomad.slice/share.slice/<TASK>.redis.scope"), ("unit", "<TASK>.redis.scope")),
    ("nomad, v1", _v1("/nomad/<TASK>"), _HOST),
    ("garden", _v1("/garden/<TASK>"), _HOST),
    ("garden, system", _v1("/system.garden/garden/<TASK>"), _HOST),
    ("a session", _v2("/user.slice/user-1000.slice/session-3.scope"), ("unit", "session-3.scope")),
    (
        "a user's service",
        _v2("/user.slice/user-0.slice/user@0.service/app.slice/x.service"),
        ("unit", "user@0.service"),
    ),
    ("a daemon", _v2("/system.slice/sshd.service"), ("unit", "sshd.service")),
    ("the kubelet", _v1("/system.slice/kubelet.service"), ("unit", "kubelet.service")),
    ("the runtime", _v2("/runtime.slice/containerd.service"), ("unit", "containerd.service")),
    ("init", _v2("/init.scope"), ("unit", "init.scope")),
    ("the root", _v2("/"), _HOST),
    # Named to look like pods.
    ("a user's scope named like a pod", _v2("/user.slice/user-1000.slice/pod<UID>.scope"), ("unit", "pod<UID>.scope")),
    ("a folder named like a pod", _v2("/user.slice/pod<UID>"), _HOST),
    ("a service named like a pod", _v2("/system.slice/pod<UID>.service"), ("unit", "pod<UID>.service")),
    ("a service named like the tree", _v2("/system.slice/kubepods.service/x"), ("unit", "kubepods.service")),
    ("a uid cut short", _v1("/kubepods/besteffort/pod0f1e2d3c"), _HOST),
    ("a uid with more to it", _v1("/kubepods/burstable/pod<UID>x"), _HOST),
    ("a uid in capitals", _v1("/kubepods/burstable/pod0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0"), _HOST),
    ("a manager of pods", _v2("/system.slice/podman-auto-update.service"), ("unit", "podman-auto-update.service")),
    ("the tree without a pod", _v2("/kubepods/burstable"), _HOST),
    ("the slice without a pod", _v2("/kubepods.slice/kubepods-burstable.slice"), _HOST),
]

SHAPES = [
    Shape(name, _fill(text), tuple(None if word is None else _fill(word) for word in owner))
    for name, text, owner in _TABLE
]
