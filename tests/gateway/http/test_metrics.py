"""The Prometheus page: families and labels of what processes report, and that dashboard and alerts ask for nothing else."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import lanying
from lanying.base.figures import Figure, labelled
from lanying.base.histogram import Histogram, quantile
from lanying.gateway.http.metrics import COUNTERS, GAUGES, HISTOGRAMS, LABELS, Metrics, ProcessCollector
from lanying.supervisor.answers import ProcessStatus, split

ROOT = Path(__file__).parents[3]


def process_of(name, figures):
    counts, series = split(figures)
    return ProcessStatus(name, state="ready", restarts=2, figures=counts, series=series)


def page(figures, process="shard-0"):
    registry = CollectorRegistry()
    registry.register(ProcessCollector(lambda: [process_of(process, figures)]))
    return generate_latest(registry).decode().splitlines()


def test_plain_figures_are_counters_or_gauges_of_a_process():
    shown = page(
        [Figure("messages", 7.0), *labelled("messages", "kind", {"chat": 4, "group": 3}), Figure("sessions", 5.0)]
    )
    assert [line for line in shown if line.startswith("lanying_messages_total{")] == [
        'lanying_messages_total{kind="chat",process="shard-0"} 4.0',
        'lanying_messages_total{kind="group",process="shard-0"} 3.0',
    ], "their sum is not counted again"
    assert 'lanying_sessions{process="shard-0"} 5.0' in shown
    assert 'lanying_up{process="shard-0"} 1.0' in shown and "# TYPE lanying_messages_total counter" in shown


def test_links_and_reasons_are_labels():
    shown = page([Figure("link_depth", 9.0, {"to": "shard-3"}), Figure("refused", 1.0, {"status": "FAIL"})])
    assert 'lanying_link_depth{process="shard-0",to="shard-3"} 9.0' in shown
    assert 'lanying_refused_total{process="shard-0",status="FAIL"} 1.0' in shown


def test_room_on_the_disks_has_their_place():
    shown = page([*labelled("disk_free_bytes", "place", {"data": 5, "cold": 7}), Figure("min_free_bytes", 2.0)])
    assert 'lanying_disk_free_bytes{place="data",process="shard-0"} 5.0' in shown
    assert 'lanying_disk_free_bytes{place="cold",process="shard-0"} 7.0' in shown
    assert 'lanying_min_free_bytes{process="shard-0"} 2.0' in shown


def test_logins_the_router_refused_are_no_refused_uploads():
    shown = page(
        [
            *labelled("arrivals", "end", {"refused": 4, "closed_left": 2}),
            Figure("waiting", 1.0),
            *Histogram().figures("lag_seconds"),
        ],
        "router",
    )
    assert 'lanying_arrivals_total{end="refused",process="router"} 4.0' in shown
    assert 'lanying_arrivals_total{end="closed_left",process="router"} 2.0' in shown
    assert 'lanying_waiting{process="router"} 1.0' in shown
    assert 'lanying_lag_seconds_count{process="router"} 0.0' in shown
    assert not any(line.startswith("lanying_refused") for line in shown)


def test_histograms_are_cumulative():
    histogram = Histogram((0.001, 0.01))
    for seconds in (0.0005, 0.001, 0.005, 3.0):
        histogram.observe(seconds)
    shown = page(histogram.figures("commit_seconds"))
    assert 'lanying_commit_seconds_bucket{le="0.001",process="shard-0"} 2.0' in shown
    assert 'lanying_commit_seconds_bucket{le="+Inf",process="shard-0"} 4.0' in shown
    assert 'lanying_commit_seconds_count{process="shard-0"} 4.0' in shown
    assert any(line.startswith('lanying_commit_seconds_sum{process="shard-0"} 3.006') for line in shown)


def test_quantiles_of_a_histogram():
    histogram = Histogram((0.001, 0.01))
    assert quantile(histogram.figures("commit_seconds"), "commit_seconds", 0.5) is None
    for seconds in (0.0005, 0.0005, 0.005, 0.005):
        histogram.observe(seconds)
    figures = histogram.figures("commit_seconds")
    assert quantile(figures, "commit_seconds", 0.25) == pytest.approx(0.0005)
    assert quantile(figures, "commit_seconds", 0.75) == pytest.approx(0.0055)
    histogram.observe(3.0)
    assert quantile(histogram.figures("commit_seconds"), "commit_seconds", 0.99) == 0.01
    assert quantile(figures, "tick_seconds", 0.5) is None


def test_nobody_there_is_an_empty_page():
    registry = CollectorRegistry()
    registry.register(ProcessCollector(list))
    assert generate_latest(registry) == b""


def known():
    names = {f"lanying_{name}_total" for name in COUNTERS} | {f"lanying_{name}" for name in GAUGES}
    names |= {f"lanying_{name}{ending}" for name in HISTOGRAMS for ending in ("_bucket", "_sum", "_count")}
    for family in Metrics().registry.collect():
        names |= {f"{family.name}_total", f"{family.name}_bucket"}
    return names


@pytest.mark.parametrize("file", ["deploy/grafana/lanying.json", "deploy/prometheus/lanying-alerts.yml"])
def test_dashboard_and_alerts_ask_for_metrics_that_exist(file):
    text = (ROOT / file).read_text()
    if file.endswith("json"):
        text = "\n".join(target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"])
    asked = set(re.findall(r"\blanying_\w+", text))
    assert asked and asked <= known()


def test_every_metric_has_its_line_in_the_documentation():
    documented = set(re.findall(r"`(lanying_\w+)`", (ROOT / "docs/configuration.md").read_text()))
    for name in {f"lanying_{name}_total" for name in COUNTERS} | {f"lanying_{name}" for name in (*GAUGES, *HISTOGRAMS)}:
        assert name in documented, name


def test_every_label_that_a_process_counts_by_is_on_the_page() -> None:
    """Of processes that no test here starts, too: what the page does not know it leaves out."""
    counted = {
        found[1]: found[2]
        for path in Path(lanying.__file__).parent.rglob("*.py")
        for found in re.finditer(r'labelled\("(\w+)", "(\w+)"', path.read_text("utf-8"))
    }
    assert {"tls", "arrivals", "messages"} <= counted.keys()
    assert {name: LABELS.get(name) for name in counted} == {name: (label,) for name, label in counted.items()}
