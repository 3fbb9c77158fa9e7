"""One submission by one ``BatchSubmitOperator``: from its arguments to its result. Loaded when a task runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.runtime.journal_location import JournalKey, open_folder
from airflow_provider_arm.runtime.records import open_source
from airflow_provider_arm.runtime.rejects import evaluate_batches, write_rejects
from airflow_provider_arm.runtime.resolutions import allow_empty_source, prepare_journal, push_unresolved_chunks
from airflow_provider_arm.runtime.submitted import REJECT, Submitted
from airflow_provider_arm.submission.errors import EmptySourceError
from airflow_provider_arm.submission.planning.plan import SubmissionPlan
from airflow_provider_arm.submission.planning.prepare import PreparedSubmission, prepare
from airflow_provider_arm.submission.planning.resources import find_operation
from airflow_provider_arm.submission.results.outcome import find_invalid
from airflow_provider_arm.submission.results.reject_policy import RejectPolicy
from airflow_provider_arm.submission.sending.lookup import document_finder, look_up
from airflow_provider_arm.submission.sending.recovered import RecoveredChunk
from airflow_provider_arm.submission.sending.registry import SubmissionRegistry, record_outcome
from airflow_provider_arm.submission.sending.send import Sender
from airflow_provider_arm.submission.sending.unknown_outcome import format_keys
from airflow_provider_arm.summary import SUCCESS, count_text, summary_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.hooks.arm import ArmHook
    from airflow_provider_arm.submission.journal.entries import Journal
    from airflow_provider_arm.submission.sending.lookup import LookupResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """How a submission is sent: the operator's arguments of the same names."""

    on_unknown_outcome: str = "fail"
    assume_absent_after: float | None = None
    max_in_flight: int = 1
    resolutions: Any = None
    continue_from: str | None = None
    registry_path: str | None = None


class SubmissionRun:
    """One submission by one task. Its constructor checks the arguments; it reads and sends nothing.

    :param policy: *on_rejected* and *max_rejected*.
    :raises ArmConfigurationError: an argument is invalid.
    """

    def __init__(
        self,
        hook: ArmHook,
        *,
        resource: str,
        action: str,
        records: Any,
        source: str | None,
        chunk_size: int,
        policy: tuple[str, int | str],
        rejects_path: str | None,
        warnings_path: str | None,
        on_invalid: str,
        on_empty: str,
    ) -> None:
        self._resource, name = find_operation(resource, action)
        self._operation = OPERATIONS[name]
        self._skip_invalid = on_invalid == REJECT
        self._client = hook.client
        self._source = open_source(records, source, self._operation)
        self._chunk_size = chunk_size
        self._policy = RejectPolicy(*policy)
        self._rejects_path = rejects_path
        self._warnings_path = warnings_path
        self._on_empty = on_empty
        self._origin: dict[str, Any] = {
            "resource": resource,
            "action": action,
            "source": source,
            "chunk_size": chunk_size,
            "on_invalid": on_invalid,
            "blank_rows": 0,
            "doubled_keys": 0,
        }

    def _prepare_records(self) -> PreparedSubmission:
        """Read the source, validate every record and plan the chunks."""
        key = self._resource.key
        limit = self._client.readings.batch.max_records
        prepared = prepare(
            self._source, self._operation, self._chunk_size, key, max_records=limit, skip_invalid=self._skip_invalid
        )
        if prepared.invalid_count:
            invalid = find_invalid(self._source, self._operation, key)
            _, where = write_rejects(invalid, self._rejects_path, prepared.invalid_count, self._operation.record)
            log.warning("%d invalid rows are not sent; %s", prepared.invalid_count, where)
        if prepared.doubled_keys:
            log.warning(
                "%s twice or more often in %s: the last record of each wins",
                format_keys(key, list(prepared.doubled_keys)),
                self._source.name,
            )
        self._origin |= {"blank_rows": prepared.blank_rows, "doubled_keys": len(prepared.doubled_keys)}
        return prepared

    def describe_plan(self) -> dict[str, Any]:
        """Return the result of a task with ``plan_only``."""
        try:
            with self._prepare_records() as prepared:
                plan, totals, invalid = prepared.plan, prepared.totals, prepared.invalid_count
        except EmptySourceError as error:
            allow_empty_source(self._on_empty, None, error, self._resource.name)
            plan, totals, invalid = SubmissionPlan(self._operation.name, self._chunk_size, ()), {}, 0
        noun = self._resource.name.removesuffix("s")
        subject = f"{count_text(plan.records, noun)} planned in {count_text(len(plan.chunks), 'batch')}"
        skipped = f"{count_text(invalid, 'invalid row')} not planned" if invalid else None
        log.info("%s", summary_line(subject, SUCCESS, "nothing was sent (plan_only)", skipped))
        shown = {currency: total.as_json() for currency, total in sorted(totals.items())}
        for currency, total in shown.items():
            log.info("%s: %s", currency or "no currency", ", ".join(f"{name} {value}" for name, value in total.items()))
        return {
            "plan_only": True,
            "chunks": len(plan.chunks),
            "records": plan.records,
            "invalid": invalid,
            "blank_rows": self._origin["blank_rows"],
            "doubled_keys": self._origin["doubled_keys"],
            "totals": shown,
            "plan_sha256": plan.sha256,
        }

    def send(self, context: Context, journal: Journal, options: SubmitOptions) -> Submitted:
        """Send every chunk that ARM does not have yet.

        :param journal: of this task instance, open for this try.
        :raises ArmError: see :func:`prepare_journal` and :meth:`Sender.send_all`.
        """
        ti = context["ti"]
        resend = prepare_journal(
            ti,
            journal,
            self._operation.replay,
            "these documents",
            on_unknown_outcome=options.on_unknown_outcome,
            resolutions=options.resolutions,
        )
        sender = Sender(
            operation=self._operation,
            journal=journal,
            clear_count=_clear_count(ti, journal, options),
            submit=self._submit,
            poll=lambda uuid, records: self._client.get_batch(uuid, submitted=records).state,
            resend_unknown=resend,
            look_up=self._look_up if self._resource.name == "documents" else None,
            key=self._resource.key,
            max_in_flight=options.max_in_flight,
            assume_absent_after=options.assume_absent_after,
            profile=self._client.readings.changes(),
        )
        registry = self._open_registry(ti, options)
        try:
            with self._prepare_records() as prepared, push_unresolved_chunks(ti):
                submitted = self._send_prepared(prepared, sender, registry)
        except EmptySourceError as error:
            allow_empty_source(self._on_empty, journal, error, self._resource.name)
            submitted = Submitted([], records=0, origin=self._origin)
        ti.xcom_push(key="batch_uuids", value=submitted.batch_uuids)
        # dag.test() loses the arguments of a deferral.
        ti.xcom_push(key="submitted", value=submitted.as_json())
        return submitted

    def _send_prepared(
        self, prepared: PreparedSubmission, sender: Sender, registry: SubmissionRegistry | None
    ) -> Submitted:
        plan = prepared.plan
        earlier = registry.claim(plan, prepared.chunks()) if registry is not None else None
        if earlier is not None:
            log.warning("%s has already submitted the same records: its batches are used", earlier.owner)
            batch_records, recovered = earlier.batch_records, earlier.recovered
        else:
            with record_outcome(registry, plan, sender.journal):
                sent = sender.send_all(plan, prepared.chunks())
            batch_records = {each.batch_uuid: each.records for each in sent if each.batch_uuid}
            recovered = [
                RecoveredChunk(each.index + 1, each.records, each.missing) for each in sent if not each.batch_uuid
            ]
        return Submitted(
            list(batch_records), batch_records, recovered, plan.records, prepared.invalid_count, self._origin
        )

    def _open_registry(self, ti: Any, options: SubmitOptions) -> SubmissionRegistry | None:
        if options.registry_path is None:
            return None
        return SubmissionRegistry(
            open_folder(options.registry_path, "registry_path"),
            owner=str(JournalKey.own(ti, options.continue_from)),
            scope=f"{self._client.base_url} {self._client.client_no}",
            key=self._resource.key,
            poll=lambda uuid, records: self._client.get_batch(uuid, submitted=records),
        )

    def _look_up(self, records: list[dict[str, Any]]) -> LookupResult:
        return look_up(records, self._resource.key, document_finder(self._client))

    def _submit(self, records: bytes) -> str:
        receipt = self._client.submit_encoded(self._operation.name, records)
        return str(receipt.batch_uuid)  # the client raises if there is none

    def evaluate(self, submitted: Submitted, statuses: Mapping[str, BatchStatus]) -> dict[str, Any]:
        """Apply the reject policy to the finished batches; see :func:`evaluate_batches`."""
        finished = submitted.finish(statuses, self._source)
        return evaluate_batches([finished], self._policy, self._rejects_path, self._warnings_path)


def _clear_count(ti: Any, journal: Journal, options: SubmitOptions) -> int:
    """Return the clear count of this try, or that of the submission that it continues."""
    plan = journal.read_plan() if options.continue_from else None
    return int(ti.max_tries or 0) if plan is None else plan.clear_count
