"""The example ``arm_on_new_items``: which days it exports."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

EXAMPLE = Path(__file__).parents[4] / "example_dags" / "arm_on_new_items.py"
DEFAULTS = {"start": "2025-01-01", "end": "2025-12-31"}


@pytest.fixture
def example(load_dags):
    """Load the example as Airflow does."""
    return load_dags(EXAMPLE)["arm_on_new_items"]


def events_of(*extras):
    """Make what Airflow gives a run that these events started."""
    from airflow.sdk.api.datamodels._generated import AssetEventDagRunReference

    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).isoformat()
    asset = {"name": "arm_new_items", "uri": "arm_new_items", "extra": {}}
    common = {"asset": asset, "source_aliases": [], "timestamp": moment}
    common |= dict.fromkeys(("source_task_id", "source_dag_id", "source_run_id", "source_map_index"))
    references = [AssetEventDagRunReference.model_validate(common | {"extra": extra}) for extra in extras]
    return TriggeringAssetEventsAccessor.build(references)


def told(first, last):
    """Make the extra of an event of the watcher."""
    return {"from_trigger": True, "payload": {"count": 1, "from": first, "to": last, "totals": {}}}


@pytest.mark.parametrize(
    ("extras", "days"),
    [
        ([told("2026-01-31T23:59:59.999+01:00", "2026-02-01T00:00:00.000+01:00")], ("2026-01-31", "2026-02-01")),
        (
            [
                told("2026-03-29T00:30:00.000+01:00", "2026-03-29T04:00:00.000+02:00"),
                told("2026-03-28T01:00:00.000Z", "2026-03-28T02:00:00.000Z"),
            ],
            ("2026-03-28", "2026-03-29"),
        ),
        ([{"by_hand": True}], tuple(DEFAULTS.values())),
        ([], tuple(DEFAULTS.values())),
    ],
    ids=["over midnight", "two events", "an event of a person", "no event"],
)
def test_the_window_holds_every_day_that_an_event_names(example, extras, days):
    """The days from the first to the last that any of the run's events names, ARM's own; else those of the params."""
    window = example.get_task("window").python_callable
    found = window(triggering_asset_events=events_of(*extras), params=DEFAULTS)
    assert (found["start"], found["end"]) == days
