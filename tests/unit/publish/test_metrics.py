from prometheus_client.parser import text_string_to_metric_families as parse
from publish.audits import crowded, quiet, status, troubled

from auditor.publish.metrics import Metrics, OwnUse

OWN = OwnUse(cpu_seconds=1.5, resident_bytes=40_000_000, fds=12)
Sample = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(metrics: Metrics) -> Sample:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in parse(metrics.expose().decode())
        for one in family.samples
    }


def test_the_latest_status_is_exposed() -> None:
    metrics = Metrics()
    metrics.observe(status(quiet()), OWN)
    metrics.observe(status(troubled()), OWN)
    seen = samples(metrics)
    user = (("limit", "inotify-instances"), ("node", ""), ("scope", "user 0"))
    assert (seen["sockaudit_limit_used", user], seen["sockaudit_limit_max", user]) == (125, 128)
    assert seen["sockaudit_findings", (("severity", "Critical"),)] == 2
    assert seen["sockaudit_findings", (("severity", "Warning"),)] == 0
    assert seen["sockaudit_verdict", (("verdict", "Critical"),)] == 1
    assert seen["sockaudit_verdict", (("verdict", "OK"),)] == 0
    assert seen["sockaudit_observed_timestamp_seconds", ()] == 1_800_000_000
    assert seen["sockaudit_sweep_duration_seconds", ()] == 0.0581
    assert seen["sockaudit_agent_cpu_seconds_total", ()] == 1.5
    assert seen["sockaudit_agent_resident_memory_bytes", ()] == 40_000_000
    assert seen["sockaudit_agent_open_fds", ()] == 12


def test_what_is_unknown_is_absent() -> None:
    metrics = Metrics()
    one = status(quiet())
    node = one.node.model_copy(update={"totals": one.node.totals.model_copy(update={"sockets": None})})
    limits = [row.model_copy(update={"used": None, "limit": None, "limit_state": "Unknown"}) for row in one.limits]
    metrics.observe(one.model_copy(update={"node": node, "limits": limits}), OWN)
    names = {name for name, _ in samples(metrics)}
    assert not {"sockaudit_node_sockets", "sockaudit_limit_used", "sockaudit_limit_max"} & names
    assert "sockaudit_node_open_fds" in names


def test_an_unlimited_limit_is_infinite() -> None:
    metrics = Metrics()
    one = status(quiet())
    row = one.limits[0].model_copy(update={"limit": None, "limit_state": "Unlimited"})
    metrics.observe(one.model_copy(update={"limits": [row]}), OWN)
    assert samples(metrics)["sockaudit_limit_max", (("limit", row.name), ("node", ""), ("scope", row.scope))] == float(
        "inf"
    )


def test_the_number_of_series_is_bounded_on_a_crowded_node() -> None:
    sizes = {}
    for per_pod in ("top", "none", "all"):
        metrics = Metrics("node-a", per_pod)
        audit = crowded(300)
        metrics.observe(status(audit), OWN, audit[1].owners)
        sizes[per_pod] = len(samples(metrics))
    assert sizes["top"] <= 500
    assert sizes["none"] < sizes["top"] < sizes["all"]
    assert sizes["all"] - sizes["none"] == 2 * 300


def test_where_connections_go_is_no_label() -> None:
    metrics = Metrics("node-a")
    one = status(quiet())
    row = one.limits[0].model_copy(update={"name": "ephemeral-ports", "scope": "web/proxy → 10.2.3.4:5432", "used": 5})
    metrics.observe(one.model_copy(update={"limits": [row]}), OWN)
    assert b"10.2.3.4" not in metrics.expose()
    assert b'scope="web/proxy"' in metrics.expose()


def test_findings_that_were_left_out_are_counted_too() -> None:
    metrics = Metrics()
    metrics.observe(status(crowded(100)), OWN)
    assert samples(metrics)["sockaudit_findings", (("severity", "Critical"),)] == 100


def test_a_turn_without_an_audit_leaves_no_figure_of_before() -> None:
    metrics = Metrics()
    metrics.observe(status(quiet()), OWN)
    metrics.miss()
    seen = samples(metrics)
    assert {name for name, _ in seen if not name.startswith(("sockaudit_agent", "sockaudit_build"))} == {
        "sockaudit_verdict",
        "sockaudit_observed_timestamp_seconds",
    }
    assert seen["sockaudit_verdict", (("verdict", "Unknown"),)] == 1
    metrics.observe(status(quiet()), OWN)
    assert samples(metrics)["sockaudit_verdict", (("verdict", "OK"),)] == 1


def test_counters_stand_before_the_first_sweep() -> None:
    metrics = Metrics()
    metrics.writes.labels(result="ok").inc()
    metrics.events.labels(result="failed").inc(2)
    seen = samples(metrics)
    assert seen["sockaudit_object_writes_total", (("result", "ok"),)] == 1
    assert seen["sockaudit_events_total", (("result", "failed"),)] == 2
    assert not [name for name, _ in seen if name.startswith("sockaudit_limit")]
    assert seen["sockaudit_verdict", (("verdict", "Unknown"),)] == 1
