"""Settings of nodes: which, where, how high, and what they buy."""

from pathlib import Path

import pytest
from report.fleets import Json, limit, node, report, save, share


def settings(capsys: pytest.CaptureFixture[str], path: str, *more: str) -> list[str]:
    return [one["setting"].partition(" (")[0] for one in report(capsys, "--from", path, *more)["recommendations"]]


def inotify(name: str, used: int, maximum: int, peak: int) -> Json:
    return node(name, limit("inotify-instances", used, maximum, "user 0", peak=peak, **share(1)))


def test_no_node_is_given_less_than_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "a", inotify("a", 80, 128, 101), inotify("b", 900, 8192, 1000))
    assert settings(capsys, path) == ["sysctl -w fs.inotify.max_user_instances=256 on a, where it is lower"]
    tight = [inotify(f"n{number}", 80, 128, 90 + number) for number in range(6)]
    path = save(tmp_path / "a", *tight, inotify("b", 900, 8192, 1000))
    assert settings(capsys, path) == [
        "sysctl -w fs.inotify.max_user_instances=256 on n5, n4, n3 and 3 more, where it is lower"
    ]
    path = save(tmp_path / "a", *tight, inotify("b", 1, 128, 2))
    assert settings(capsys, path) == ["sysctl -w fs.inotify.max_user_instances=256 on nodes of workers"]
    unlimited = node("b", limit("inotify-instances", 5, None, "user 0"))
    path = save(tmp_path / "a", inotify("a", 80, 128, 101), unlimited)
    assert settings(capsys, path) == ["sysctl -w fs.inotify.max_user_instances=256 on a, where it is lower"]


@pytest.mark.parametrize(
    ("row", "recommended"),
    [
        (limit("inotify-watches", 2**31 - 9, 2**31 - 8, "user 0"), [2**31 - 1]),
        (limit("inotify-watches", 2**31 - 9, 2**31 - 1, "user 0"), []),
        (limit("threads", 900_000_000, 1_000_000_000), [0x3FFFFFFF]),
        (limit("threads", 900, 1000, "shop/cart"), []),
        (limit("ptys", 1_000_000, 1_040_000), [1 << 20]),
        (limit("file-handles", 9, 2**63 - 1, limitState="Unlimited"), []),
        (limit("file-handles", 2**62, 2**63 - 2), [2**63 - 1]),
        (limit("conntrack", 32, 0, "host", limitState="Known"), []),
        (limit("inotify-instances", 3, 0, "user 0", limitState="Known"), [8]),
    ],
)
def test_the_kernel_takes_what_is_recommended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Json, recommended: list[int]
) -> None:
    found = report(capsys, "--from", save(tmp_path / "a", node("n1", row)))
    assert [one["recommended"] for one in found["recommendations"]] == recommended


def test_a_limit_that_ends_before_the_slots_is_raised_to_carry_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calm = node("n1", limit("pids", 10, 100, peak=20, **share(7)), pods=40)
    (found,) = report(capsys, "--from", save(tmp_path / "a", calm))["recommendations"]
    assert (found["recommended"], found["podsUntilLimit"]) == (1024, 70), "(20 + 70 * 7) / 0.9, the next power of two"
    assert found["buys"] == (
        "98 % headroom at the peak of 20, and room for 70 more pods instead of 10 on the tightest node"
    )


@pytest.mark.parametrize(
    ("row", "recommended", "words"),
    [
        (
            limit("ephemeral-ports", 20_000, 28_232, "shop/cart tcp → 10.2.3.4:5432"),
            64_512,
            'net.ipv4.ip_local_port_range="1024 65535" in the network namespace of shop/cart tcp ',
        ),
        (limit("ephemeral-ports", 60_000, 64_512, "host → 10.2.3.4:5432"), 64_512, "reuse connections"),
        (limit("listen-backlog", 120, 129, "shop/cart 0.0.0.0:80"), 1024, "net.core.somaxconn=1024"),
        (
            limit("listen-backlog", 3000, 4097, "shop/cart 0.0.0.0:80"),
            8192,
            "a backlog of 8192 in listen() of shop/cart",
        ),
    ],
)
def test_what_is_a_namespaces_own_is_advised_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Json, recommended: int, words: str
) -> None:
    (found,) = report(capsys, "--from", save(tmp_path / "a", node("n1", row)))["recommendations"]
    assert (found["kind"], found["recommended"]) == ("network", recommended)
    assert words in found["setting"]
