"""Uses of every public name as the author of a DAG writes them. mypy strict and pyright check this file; it never runs.

A line with ``type: ignore`` must be an error: both checkers fail where it is not.
"""

from __future__ import annotations

import datetime as dt
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, assert_type

from airflow.sdk import DAG, AssetWatcher, XComArg

from airflow_provider_arm.client import (
    ArmAuthenticationError,
    ArmClient,
    ArmConfigurationError,
    ArmError,
    ArmIncompleteListError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmPermissionError,
    ArmRateLimitError,
    ArmResultLimitError,
    ArmUnavailableError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    AsyncArmClient,
    BatchState,
    BatchStatus,
    ClientCredentials,
    FieldIssue,
    InvalidRecordError,
    Phase,
    Replay,
    StaticToken,
    Transport,
)
from airflow_provider_arm.exceptions import ArmBatchFailedException, ArmFailException, ArmTransientException
from airflow_provider_arm.export import ArmExportMismatchError, DateWindow, check_export, plan_windows
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.links.batch import BatchLink
from airflow_provider_arm.notifications.rejects import RejectsNotifier
from airflow_provider_arm.operators.ar_item import ArItemExportOperator, ArItemUpdateOperator
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.customer import CustomerDeleteOperator, CustomerUpsertOperator
from airflow_provider_arm.operators.document import DocumentCreateOperator
from airflow_provider_arm.operators.export import (
    CustomerExportOperator,
    DocumentExportOperator,
    GlItemExportOperator,
    ListExportOperator,
    LogItemExportOperator,
)
from airflow_provider_arm.operators.export_merge import ExportMergeOperator
from airflow_provider_arm.operators.file import FileUploadOperator
from airflow_provider_arm.operators.payment import PaymentReservationOperator
from airflow_provider_arm.operators.posting import AutoPostingOperator
from airflow_provider_arm.operators.reconcile import LedgerReconcileOperator
from airflow_provider_arm.operators.resolution import SubmissionResolveOperator
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sensors.batch import BatchSensor
from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
from airflow_provider_arm.triggers.batch import BatchTrigger
from airflow_provider_arm.triggers.batch_finished import BatchFinishedEventTrigger

if TYPE_CHECKING:
    from airflow_provider_arm.client.models import Customer

CUSTOMER = {"customerNo": "1001", "name": "Example"}


def connection_arguments() -> None:
    """Every operator takes the connection's arguments and those of BaseOperator."""
    CustomerUpsertOperator(
        task_id="upsert", customer=CUSTOMER, arm_conn_id="arm_default", client_no=2218, user_id="me", retries=3
    )
    CustomerUpsertOperator(task_id="update", customer={"customerNo": "1"}, action="update")
    CustomerUpsertOperator(task_id="upsert", customer="s3://bucket/customer.json", client_no="{{ params.client_no }}")
    CustomerDeleteOperator(task_id="delete", customer_no="1001", options="force", ignore_if_missing=True)


def submit() -> XComArg:
    """A submission takes literals, templates' text, durations and a source or records."""
    BatchSubmitOperator(task_id="a", resource="customers", action="update", records=[CUSTOMER])
    BatchSubmitOperator(task_id="b", resource="documents", action="create", source="s3://bucket/documents.jsonl")
    operator = BatchSubmitOperator(
        task_id="submit",
        resource="customers",
        source="customers.csv",
        chunk_size=400,
        wait_for_completion=True,
        deferrable=True,
        poll_interval=30,
        max_poll_interval=300.0,
        timeout=timedelta(hours=6),
        on_rejected="warn",
        on_invalid="reject",
        max_rejected="1%",
        rejects_path="rejects.jsonl",
        journal_path="s3://bucket/journal",
        continue_from="other",
        registry_path="s3://bucket/registry",
        durable=True,
        on_unknown_outcome="resend",
        assume_absent_after=timedelta(hours=1),
        resolutions=[{"chunk_id": "1", "verdict": "absent", "by": "me", "why": "looked up"}],
        max_in_flight=2,
        plan_only=False,
    )
    return operator.output


def wrong_literals() -> None:
    """A literal that the operator does not know is an error before the DAG is parsed."""
    BatchSubmitOperator(task_id="a", resource="customer", records=[])  # type: ignore[arg-type]
    BatchSubmitOperator(task_id="b", resource="customers", action="upsert", records=[])  # type: ignore[arg-type]
    BatchSubmitOperator(task_id="c", resource="customers", records=[], on_rejected="ignore")  # type: ignore[arg-type]
    BatchSubmitOperator(task_id="d", resource="customers", records=[], on_invalid="warn")  # type: ignore[arg-type]
    BatchSubmitOperator(task_id="e", resource="customers", records=[], on_unknown_outcome="retry")  # type: ignore[arg-type]
    BatchSensor(task_id="f", batch_uuid="1", on_rejected="ignore")  # type: ignore[arg-type]
    ArItemExportOperator(task_id="g", path="a", format="xlsx")  # type: ignore[arg-type]
    DocumentCreateOperator(task_id="h", document={}, on_unknown_outcome="retry")  # type: ignore[arg-type]
    LedgerReconcileOperator(task_id="i", export="a", against="b", path="c", on_difference="ignore")  # type: ignore[arg-type]
    LedgerReconcileOperator(task_id="j", export="a", against="b", path="c", period="week")  # type: ignore[arg-type]


def missing_arguments() -> None:
    """What an operator cannot do without is required by type."""
    BatchSubmitOperator(task_id="a")  # type: ignore[call-arg]
    ArItemExportOperator(task_id="b")  # type: ignore[call-arg]
    CustomerUpsertOperator(task_id="c")  # type: ignore[call-arg]
    BatchSensor(task_id="d")  # type: ignore[call-arg]


def wait(submitted: XComArg) -> None:
    """A sensor takes one batch, several, or what a submission returned."""
    BatchSensor(task_id="a", batch_uuid="0d1c")
    BatchSensor(task_id="b", batch_uuid=["0d1c", "0d1d"])
    BatchSensor(
        task_id="c",
        batch_uuid=submitted,
        on_rejected="fail",
        max_rejected=3,
        rejects_path="rejects.csv",
        deferrable=True,
        poke_interval=timedelta(minutes=1),
        timeout=3600,
        mode="reschedule",
        on_failure_callback=RejectsNotifier(send=print),
    )


def export() -> XComArg:
    """An export takes a window, filters and a format by name or by the path's ending."""
    ArItemExportOperator(
        task_id="a",
        path="s3://bucket/aritems.parquet",
        format="parquet",
        filters={"customerno": "1001"},
        window=DateWindow(start="{{ ds }}", end="{{ ds }}", by="voucherdate"),
        split_by={"voucherType": ["INVOICE"]},
        columns=["arItemId", "currencyBalance"],
        mask=["name"],
        page_size=500,
        workers=4,
        validate_all_fields=True,
        verify_pages=True,
    )
    ArItemExportOperator(
        task_id="b",
        path="new.jsonl.gz",
        format="jsonl",
        incremental=True,
        overlap=timedelta(hours=2),
        watermark_path="watermark.json",
    )
    CustomerExportOperator(
        task_id="c", path="customers.csv", format="csv", csv_dialect="excel", columns="submittable", on_empty="skip"
    )
    ArItemExportOperator(task_id="i", path="a.csv", window=DateWindow.before_run(days=1, timezone="Europe/Oslo"))
    ArItemExportOperator(task_id="k", path="a.csv", on_empty="maybe")  # type: ignore[arg-type]
    DocumentExportOperator(task_id="d", path="documents.jsonl")
    GlItemExportOperator(task_id="e", path="gl.csv", window={"start": "2026-01-01", "end": "2026-01-31"})
    LogItemExportOperator(task_id="h", path="log.jsonl")
    ListExportOperator(
        task_id="f", path="list.jsonl", resource="customers", item_key="customerNo", amounts=["limitAmount"]
    )
    windows = plan_windows(dt.date(2026, 1, 1), "2026-12-31", by="voucherdate", days="month")
    mapped = ArItemExportOperator.partial(task_id="g", path="{{ ti.map_index }}.jsonl").expand(window=windows)
    return mapped.output


def fed_by_other_tasks(submitted: XComArg, exported: XComArg) -> None:
    """Arguments that another task's output feeds accept an XComArg."""
    CustomerUpsertOperator(task_id="a", customer=submitted)
    CustomerDeleteOperator(task_id="b", customer_no=submitted)
    BatchSubmitOperator(task_id="c", resource="customers", records=submitted)
    BatchSubmitOperator(task_id="d", resource="customers", source=exported, resolutions=submitted)
    BatchSensor(task_id="e", batch_uuid=submitted)
    DocumentCreateOperator(task_id="f", document=submitted)
    PaymentReservationOperator(task_id="g", payment_id=submitted, reservation=submitted)
    AutoPostingOperator(task_id="h", method="payments", postings=submitted)
    ArItemUpdateOperator(task_id="i", changes=submitted)
    ExportMergeOperator(task_id="j", exports=exported, path="all.jsonl")
    LedgerReconcileOperator(task_id="k", export=exported, against=exported, path="report")
    SubmissionResolveOperator(task_id="l", journal_path="s3://j", submit_task_id="c", resolutions=submitted)


def single_writes() -> None:
    """A write of one record has the arguments of the journal."""
    DocumentCreateOperator(
        task_id="a",
        document={"documentNo": "1"},
        assume_absent_after=3600,
        journal_path="s3://bucket/journal",
        durable=False,
        on_unknown_outcome="fail",
        resolutions=None,
    )
    FileUploadOperator(task_id="f", paths=["s3://invoices/a.pdf"], on_rejected="warn", max_rejected="2%")
    PaymentReservationOperator(task_id="b", payment_id="1", reservation={"amount": Decimal("1.00")})
    AutoPostingOperator(task_id="c", method="payments", source="postings.csv", validate_only=True)
    ArItemUpdateOperator(task_id="d", changes={"arItemId": "1"}, on_unknown_outcome="resend")


def reconcile() -> None:
    """A reconciliation compares two exports, or an export with given amounts."""
    LedgerReconcileOperator(
        task_id="a",
        export="ar.csv.manifest.json",
        against={"2026-01": {"NOK": "1.00"}},
        path="s3://bucket/report",
        field="currencyAmount",
        against_field="amount",
        period="month",
        by="voucherDate",
        against_by="glDate",
        periods=["2026-01"],
        where={"glAccountNo": "1500"},
        against_where={"glAccountNo": ["1500", "1510"]},
        own_currency="NOK",
        tolerance={"NOK": "0.01"},
        invert_against=True,
        on_difference="warn",
        allow_empty=True,
    )
    SubmissionResolveOperator(
        task_id="b",
        journal_path="s3://bucket/journal",
        submit_task_id="submit",
        resolutions={"chunk_id": "1", "verdict": "accepted", "by": "me", "why": "found"},
        submit_run_id="{{ run_id }}",
        submit_dag_id="other",
        submit_map_index=0,
    )


def triggers() -> None:
    """Triggers are built by keyword, and event triggers watch an asset."""
    BatchTrigger(
        batch_uuids=["0d1c"], arm_conn_id="arm_default", client_no=None, poll_interval=30, started=0.0, deadline=60.0
    )
    AssetWatcher(
        name="new",
        trigger=NewArItemsEventTrigger(
            filters={"customerno": "1001"},
            where={"currencyCode": ["NOK"]},
            poll_interval=60,
            overlap=3600,
            look_back=86400,
        ),
    )
    AssetWatcher(name="done", trigger=BatchFinishedEventTrigger(receipts_path="s3://bucket/receipts", client_no=2218))


def with_a_hook() -> dict[str, Any]:
    """A task of one's own uses the client of the hook."""
    hook = ArmHook("arm_default", client_no=2218, user_id="me")
    assert_type(hook.client, ArmClient)
    assert_type(hook.get_conn(), ArmClient)
    customer: Customer = hook.client.get_customer("1001")
    assert_type(customer.customer_no, str)
    for item in hook.client.list_ar_items({"customerno": "1001"}, page_size=500):
        assert_type(item.currency_balance, Decimal | None)
    assert_type(hook.client.get_batch("0d1c"), BatchStatus)
    return {"succeeded": hook.client.get_batch("0d1c").state is BatchState.SUCCEEDED}


async def without_airflow() -> None:
    """The clients work without Airflow, and both close themselves."""
    credentials = ClientCredentials("https://auth.example.com/token", "id", "secret")
    with ArmClient("https://arm.example.com/arm/v1", credentials, client_no=2218) as client:
        client.upsert_customer(CUSTOMER)
        client.request("GET", "/clients/2218/logitems", params={"pageno": 1}, replay=Replay.SAFE)
    async with AsyncArmClient("https://arm.example.com/arm/v1", StaticToken("token"), client_no=2218) as other:
        assert_type(await other.get_batch("0d1c"), BatchStatus)
    Transport()


def errors(client: ArmClient) -> str:
    """Every error of the client is an ArmError, with what a caller can do as its class."""
    try:
        client.delete_customer("1001")
    except ArmValidationError as error:
        issues: list[FieldIssue] = list(error.errors)
        return str(issues)
    except (ArmAuthenticationError, ArmPermissionError, ArmNotFoundError, ArmConfigurationError) as error:
        return str(error.status_code)
    except (ArmRateLimitError, ArmUnavailableError, ArmUnknownOutcomeError, ArmInvalidResponseError) as error:
        assert_type(error.phase, Phase | None)
        return str(error.request_id)
    except (ArmResultLimitError, ArmIncompleteListError, InvalidRecordError, ArmError) as error:
        return str(error)
    return ""


def exceptions(manifest: str) -> None:
    """What fails a task is one of two exceptions of Airflow."""
    failures: tuple[type[Exception], ...] = (ArmFailException, ArmBatchFailedException, ArmTransientException)
    try:
        check_export(manifest)
    except ArmExportMismatchError as error:
        raise failures[0] from error


def sandbox() -> None:
    """The sandbox is a context manager, with a connection and a clock."""
    with ArmSandbox(seed=7, ar_items=200, clients=[2218, 2219], batch_delay=0) as box:
        assert_type(box.base_url, str)
        assert_type(box.clients, tuple[int, ...])
        box.advance(seconds=60)
        box.ledger(2219)


def whole_dag() -> DAG:
    """Operators go into a DAG and are chained by what they return."""
    with DAG(dag_id="typed", schedule=None) as dag:
        submitted = submit()
        wait(submitted)
        fed_by_other_tasks(submitted, export())
    assert_type(BatchLink().name, str)
    return dag
