"""One round of what DAGs do, with the profile that was observed, on the sandbox and on a real ARM."""

from __future__ import annotations

import datetime as dt

import pytest

from airflow_provider_arm.client import BatchState
from airflow_provider_arm.export import DateWindow, check_export
from airflow_provider_arm.export.files.file_format import choose_file_format
from airflow_provider_arm.export.pages.record_types import record_types_of
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export

#: Days of the exported window: a list of every AR item of a real client number may be long.
DAYS = 31


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("operation", ["list_ar_items", "list_gl_items"])
def test_window_is_exported_completely(arm, tmp_path, operation):
    """The export of a window is complete, and its file equals its manifest."""
    rows = arm.wire.get({"list_ar_items": "aritems"}.get(operation, "glitems"), pagesize=5).object
    items = next(value for name, value in rows.items() if name != "summary")
    if not items:
        pytest.skip("this client number has no items")
    last = dt.date.fromisoformat(items[0]["voucherDate"])
    window = DateWindow(str(last - dt.timedelta(days=DAYS)), str(last), by="voucherdate")
    path = tmp_path / "items.jsonl"
    record_type = record_types_of(arm.client.readings)[operation]
    plan = ExportPlan(record_type, path, choose_file_format(path.name), window=window.date_range())
    run_export(plan, arm.client.page_source(operation), _now)
    assert check_export(f"{path}.manifest.json")["rows"] > 0


@pytest.mark.changes_arm("customers")
def test_customer_is_created_and_updated_by_a_batch(arm):
    """A batch is waited for and has succeeded, and its update can be read."""
    number = arm.new_customer()
    record = {"customerNo": number, "informalName": "Round"}
    receipt = arm.client.submit_batch("update_customer_batch", [record])
    status = arm.finished(receipt.batch_uuid)
    assert (status.state, status.failed) == (BatchState.SUCCEEDED, 0)
    assert arm.client.get_customer(number).informal_name == "Round"
