"""A Grafana dashboard of what served agents count: python -m fireact_ray.stages.serve_dashboard > grafana.json

Names are those of serve_metrics, with Ray's prefix; the data source is the Prometheus that scrapes Ray's nodes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_RATE = "sum by ({by}) (rate(ray_fireact_{name}[1m]))"
_P = "histogram_quantile({share}, sum by (le, {by}) (rate(ray_fireact_{name}_bucket[5m])))"

PANELS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Questions a second, by how they ended",
        "reqps",
        (_RATE.format(by="agent, stop_reason", name="questions_total"),),
    ),
    ("Questions that run or wait", "short", ("sum by (agent) (ray_fireact_questions_running)",)),
    (
        "Seconds of a question, p50 and p99",
        "s",
        tuple(_P.format(share=share, by="agent", name="question_seconds") for share in (0.5, 0.99)),
    ),
    ("Seconds of a step's part, p99", "s", (_P.format(share=0.99, by="part", name="step_seconds"),)),
    ("Steps a second", "ops", (_RATE.format(by="agent", name="steps_total"),)),
    ("Searches a second", "ops", (_RATE.format(by="status", name="searches_total"),)),
    ("Tokens a second", "short", (_RATE.format(by="agent, kind", name="tokens_total"),)),
    ("Requests a second, by status", "reqps", (_RATE.format(by="status", name="requests_total"),)),
)


def dashboard() -> dict[str, Any]:
    return {
        "title": "fireact_ray: served agents",
        "uid": "fireact-serving",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(number, *panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, title: str, unit: str, queries: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": _SOURCE,
        "gridPos": {"x": 12 * (number % 2), "y": 8 * (number // 2), "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [{"refId": "ABC"[n], "expr": query, "datasource": _SOURCE} for n, query in enumerate(queries)],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=1) + "\n")
