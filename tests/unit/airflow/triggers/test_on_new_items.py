"""Tests of the example DAG ``arm_on_new_items``: which days it exports."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

EXAMPLE = Path(__file__).parents[4] / "example_dags" / "arm_on_new_items.py"
DEFAULTS = {"start": "2025-01-01", "end": "2025-12-31"}


@pytest.fixture
def example(load_dags):
    """Return the example DAG, loaded as Airflow loads it."""
    return load_dags(EXAMPLE)["arm_on_new_items"]


def triggering_events(*extras):
    """Return the ``triggering_asset_events`` of a run that events with these extras started."""
    from airflow.sdk.api.datamodels._generated import AssetEventDagRunReference

    timestamp = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).isoformat()
    asset = {"name": "arm_new_items", "uri": "arm_new_items", "extra": {}}
    common = {"asset": asset, "source_aliases": [], "timestamp": timestamp}
    common |= dict.fromkeys(("source_task_id", "source_dag_id", "source_run_id", "source_map_index"))
    references = [AssetEventDagRunReference.model_validate(common | {"extra": extra}) for extra in extras]
    return TriggeringAssetEventsAccessor.build(references)


def watcher_extra(first, last):
    """Return the extra of an event of the watcher."""
    return {"from_trigger": True, "payload": {"count": 1, "from": first, "to": last, "totals": {}}}


@pytest.mark.parametrize(
    ("extras", "days"),
    [
        (
            [watcher_extra("2026-01-31T23:59:59.999+01:00", "2026-02-01T00:00:00.000+01:00")],
            ("2026-01-31", "2026-02-01"),
        ),
        (
            [
                watcher_extra("2026-03-29T00:30:00.000+01:00", "2026-03-29T04:00:00.000+02:00"),
                watcher_extra("2026-03-28T01:00:00.000Z", "2026-03-28T02:00:00.000Z"),
            ],
            ("2026-03-28", "2026-03-29"),
        ),
        ([{"manual": True}], tuple(DEFAULTS.values())),
        ([], tuple(DEFAULTS.values())),
    ],
    ids=["over midnight", "two events", "manual event", "no event"],
)
def test_window_contains_every_day_of_the_events(example, extras, days):
    """The window is from the first to the last day of all events, as ARM wrote them; without events, the params'."""
    build_window = example.get_task("window").python_callable
    window = build_window(triggering_asset_events=triggering_events(*extras), params=DEFAULTS)
    assert (window["start"], window["end"]) == days
