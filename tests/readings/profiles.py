"""Random readings profiles, and one round of everything that the domain does with a sandbox."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import ArmClient, AsyncArmClient, ClientCredentials
from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.client.http.retry import RetryPolicy
from airflow_provider_arm.client.readings import Readings
from airflow_provider_arm.export import DateWindow, check_export
from airflow_provider_arm.export.files.file_format import choose_file_format
from airflow_provider_arm.export.incremental.run import IncrementOptions, export_increment
from airflow_provider_arm.export.incremental.state import TaskRunKey
from airflow_provider_arm.export.incremental.stores import FileWatermarkStore
from airflow_provider_arm.export.pages.record_types import record_types_of
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export
from airflow_provider_arm.reconcile.compare import ComparisonOptions, compare
from airflow_provider_arm.reconcile.fields import SideQuery
from airflow_provider_arm.reconcile.sums import sum_exports
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.submission.results.batch_wait import WaitTimes
from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
from airflow_provider_arm.triggers.polling.item_pages import read_items

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Random profiles of each property; ``ARM_PROFILES=5000`` tries more.
EXAMPLES = int(os.environ.get("ARM_PROFILES", "100"))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
#: Seconds for a property: a round takes about half a second on a busy machine.
TIMEOUT = max(600, 3 * EXAMPLES)
ITEMS = 60

_NAME = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9).map(lambda text: f"{text}X")
_WORD = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=9).map(lambda text: f"{text}Q")
_CODES = [200, 201, 202, 203, 206, 207]


def _some(entries: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=entries)


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a valid profile: any of its entries, with names that differ from each other and from the defaults."""
    names = iter(draw(st.lists(_NAME, min_size=60, max_size=60, unique=True)))
    words = draw(st.lists(_WORD, min_size=8, max_size=8, unique=True))
    codes = draw(st.permutations(_CODES))

    def name() -> st.SearchStrategy[str]:
        return st.just(next(names))

    def window() -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({"first": name(), "last": name(), "last_included": st.booleans()})

    batch_keys = ("uuid", "status", "total", "processed", "failed", "errors", "records", "record_number")
    batch: dict[str, st.SearchStrategy[Any]] = {f"{key}_key": name() for key in batch_keys}
    batch |= {f"{meaning}_words": st.just([words[at]]) for at, meaning in enumerate(("pending", "success", "partial"))}
    batch |= {"failure_words": st.just(words[3:5]), "rejected_codes": st.just([409])}
    batch |= {"max_records": st.sampled_from([5, 1000])}
    profile = draw(
        _some(
            {
                "batch": _some(batch),
                "write": _some(
                    {
                        "metadata_key": name(),
                        "user_key": name(),
                        "metadata_without_user": st.booleans(),
                        "status_key": name(),
                        "success_words": st.just([words[5]]),
                        "failure_words": st.just([words[6]]),
                    }
                ),
                "record_keys": _some(
                    {
                        operation: st.none() | name()
                        for operation in ("upsert_customer", "create_customer_batch", "create_document_batch")
                    }
                ),
                "lists": _some(
                    {
                        "record_keys": _some({"list_ar_items": name(), "list_gl_items": name()}),
                        "parameters": _some(
                            {key: name() for key in ("page_size", "page_number", "query", "maximum_count")}
                        ),
                        "summary_key": name(),
                        "max_records": st.sampled_from([40, 10_000]),
                        "max_page_size": st.sampled_from([20, 1000]),
                        "empty_is_404": st.booleans(),
                        "expired_codes": st.just([409]),
                    }
                ),
                "filters": _some({"windows": _some({by: window() for by in ("voucherdate", "createdtime")})}),
                "gl_items": _some({field: name() for field in ("gl_item_id", "currency_amount", "voucher_date")}),
                "calls": _some({"token_auth": st.sampled_from(["body", "basic"]), "token_scope": name()}),
            }
        )
    )
    if draw(st.booleans()):
        finished = {"finished_codes": list(codes[:2]), "success_codes": [codes[0]], "pending_codes": [codes[2]]}
        profile.setdefault("batch", {}).update(finished)
    return profile


@dataclass
class Round:
    """What one round found out."""

    customers: BatchStatus
    documents: BatchStatus
    ar_rows: int
    gl_rows: int
    increments: tuple[int, int]
    matches: bool
    watched: int


def client_of(box: ArmSandbox, readings: Readings, kind: type[Any] = ArmClient) -> Any:
    """Build a client of a sandbox."""
    credentials = ClientCredentials(box.auth_url, box.client_id, box.client_secret)
    return kind(
        box.base_url, credentials, client_no=box.client_no, readings=readings, retry=RetryPolicy(max_attempts=1)
    )


def wait(client: ArmClient, batch_uuid: str, polls: int = 3) -> BatchStatus:
    """Poll a batch as a wait does, a few times."""
    state = WaitTimes(0.0, polls, 0.0).wait([batch_uuid], {})
    now = 0.0
    while state.pending:
        state.record_poll(batch_uuid, client.get_batch(batch_uuid), now)
        if state.pending:
            now += 1
            state.next_delay(now)
    return state.finished[batch_uuid]


def documents(prefix: str, count: int) -> list[dict[str, Any]]:
    """Build documents of the documented customer."""
    return [
        {
            "documentType": "IN",
            "customerNo": "543210",
            "documentNo": f"{prefix}{number}",
            "documentDate": "2025-06-01",
            "currencyAmounts": {"inclVat": Decimal("10.25")},
        }
        for number in range(count)
    ]


def export(client: ArmClient, operation: str, path: Path, window: DateWindow | None = None) -> dict[str, Any]:
    """Export a list, and verify the file."""
    record_type = record_types_of(client.readings)[operation]
    plan = ExportPlan(
        record_type, path, choose_file_format(path.name), window=None if window is None else window.date_range()
    )
    size = min(15, client.readings.lists.max_page_size)
    run_export(plan, client.page_source(operation, page_size=size), _now)
    return check_export(str(path) + ".manifest.json")


def run_round(box: ArmSandbox, readings: Readings, folder: Path) -> Round:
    """Do the whole round: upsert, submit, wait, export with a split at the cap, increments, reconcile, watch."""
    with client_of(box, readings) as client:
        client.upsert_customer({"customerNo": "9001", "name": "Ny Kunde"})
        people = [{"customerNo": f"900{n}", "name": "N"} for n in range(3)] + [{"customerNo": "9009"}]
        customers = wait(client, client.submit_batch("create_customer_batch", people).batch_uuid)
        sent = wait(client, client.submit_batch("create_document_batch", documents("R", 2)).batch_uuid)
        year = DateWindow("2024-01-01", "2026-12-31", by="voucherdate")
        ar_items = export(client, "list_ar_items", folder / "ar.jsonl", year)
        gl_items = export(client, "list_gl_items", folder / "gl.csv", year)
        increments = (_increment(client, folder, 1), _increment(client, folder, 2))
        ours, theirs = (
            sum_exports([folder / name], SideQuery()) for name in ("ar.jsonl.manifest.json", "gl.csv.manifest.json")
        )
        comparison = compare(ours, theirs, ComparisonOptions())
    watched = asyncio.run(_watch(box, readings))
    return Round(customers, sent, ar_items["rows"], gl_items["rows"], increments, comparison.matches, watched)


def _increment(client: ArmClient, folder: Path, number: int) -> int:
    path = folder / f"new{number}.jsonl"
    plan = ExportPlan(record_types_of(client.readings)["list_ar_items"], path, choose_file_format(path.name))
    options = IncrementOptions(FileWatermarkStore(folder / "mark.json"), TaskRunKey("t", f"r{number}"), 3_600_000)
    source = client.page_source("list_ar_items", page_size=15)
    return int(export_increment(plan, source, _now, options)["rows"])


async def _watch(box: ArmSandbox, readings: Readings) -> int:
    async with client_of(box, readings, AsyncArmClient) as client:
        items = await read_items(client, NewArItemsEventTrigger(), 1_750_000_000_000, 1_760_000_000_000)
    return -1 if items is None else len(items)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def is_success(result: Round) -> bool:
    """Return whether the round is what a round with the same profile on both sides is."""
    return (
        (result.customers.state, result.customers.total, result.customers.failed) == (BatchState.PARTIAL, 4, 1)
        and (result.documents.state, result.documents.failed) == (BatchState.SUCCEEDED, 0)
        and result.ar_rows == result.gl_rows == result.increments[0] == 62
        and result.increments[1] == 0
        and result.matches
    )


def round_with(sandbox: Mapping[str, Any], client: Mapping[str, Any]) -> Round | ArmError:
    """Do one round; return its result or the error. No document takes effect twice."""
    with (
        ArmSandbox(ar_items=ITEMS, customers=10, batch_delay=0, readings=sandbox) as box,
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            result: Round | ArmError = run_round(box, Readings.parse(client), Path(folder))
        except ArmError as error:
            result = error
        assert all(entry["effects"] == 1 for entry in box.ledger()["documents"].values())
    return result
