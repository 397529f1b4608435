"""The dashboard in ops/ shows the metrics that there are."""

import json
import re
from typing import Any

from raygp.cluster.metrics import METRICS
from raygp.health import METRICS as LINE_METRICS
from tests.checkout import PROJECT

DASHBOARD: dict[str, Any] = json.loads((PROJECT / "ops" / "grafana.json").read_text())
NAME = re.compile(r"\b(?:ray_(raygp_\w+)|(raygp_line_\w+))")
TAGS = {name: {"update", *tags} for name, (_, tags) in METRICS.items()}
TAGS |= {name: {"line", *labels} for name, (_, labels) in LINE_METRICS.items()}


def names(expression: str) -> list[str]:
    """Metrics of running updates, which Ray gives a prefix, and of lines, which have none."""
    return [running or line for running, line in NAME.findall(expression)]


def targets() -> list[dict[str, str]]:
    return [target for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    shown = {name for target in targets() for name in names(target["expr"])}
    assert shown == {*METRICS, *LINE_METRICS}


def test_legends_name_tags_that_the_query_keeps_and_the_metric_has() -> None:
    for target in targets():
        (name,) = names(target["expr"])
        (kept,) = re.findall(r"by \(([^)]*)\)", target["expr"])
        tags = TAGS[name]
        assert set(kept.split(", ")) == tags
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= tags


def test_variables_are_defined_and_panels_do_not_overlap() -> None:
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) == defined
    cells = [
        (column, row)
        for panel in DASHBOARD["panels"]
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for row in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) < 24
