"""Between ``BatchSubmitOperator`` and the submission: arguments in, domain objects out. Loaded when a task runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.operations import OPERATIONS, Operation, Replay
from airflow_provider_arm.runtime.batch_polling import look_at_batches, wait_for_batches
from airflow_provider_arm.runtime.journal_location import JournalKey, folder_at
from airflow_provider_arm.runtime.records import open_source
from airflow_provider_arm.runtime.rejects import FAIL, REJECT, check_rejects_path, write_rejects
from airflow_provider_arm.runtime.resolutions import (
    apply_resolutions,
    fail_if_retry_without_journal,
    may_resend,
    push_unresolved_chunks,
    read_resolutions,
)
from airflow_provider_arm.submission.limits import MAX_IN_FLIGHT
from airflow_provider_arm.submission.planning.prepare import PreparedSubmission, prepare
from airflow_provider_arm.submission.planning.resources import Resource, find_operation
from airflow_provider_arm.submission.results.outcome import count_outcomes, describe_counts, find_invalid, find_rejects
from airflow_provider_arm.submission.results.reject_policy import RejectPolicy, TaskOutcome
from airflow_provider_arm.submission.sending.lookup import document_finder, look_up
from airflow_provider_arm.submission.sending.recovered import RecoveredChunk, in_chunk_order, read_recovered
from airflow_provider_arm.submission.sending.registry import SubmissionRegistry, record_outcome
from airflow_provider_arm.submission.sending.send import Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_arm.client import ArmClient
    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.hooks.arm import ArmHook
    from airflow_provider_arm.submission.journal.entries import Journal
    from airflow_provider_arm.submission.results.batch_wait import WaitTimes
    from airflow_provider_arm.submission.results.outcome import Batches
    from airflow_provider_arm.submission.sending.lookup import LookupResult
    from airflow_provider_arm.submission.sources.source import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submitted:
    """What of a submission is with ARM.

    :param recovered: chunks whose batchUuid is lost.
    :param records: in all chunks.
    :param invalid: rows that were left out because they do not fit.
    """

    batch_uuids: list[str]
    recovered: list[RecoveredChunk]
    records: int
    invalid: int = 0

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values, as a deferral keeps them."""
        return {
            "batch_uuids": self.batch_uuids,
            "recovered": [each.as_json() for each in self.recovered],
            "records": self.records,
            "invalid": self.invalid,
        }

    @classmethod
    def from_json(cls, data: Any) -> Submitted:
        """Read :meth:`as_json` back."""
        return cls(data["batch_uuids"], read_recovered(data["recovered"]), data["records"], data["invalid"])

    def in_chunk_order(self, statuses: Sequence[BatchStatus]) -> Batches:
        """Give batches and found chunks with their states, in the order of the chunks."""
        return in_chunk_order(list(zip(self.batch_uuids, statuses, strict=True)), self.recovered)


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """How a submission is sent: arguments of the operator of the same names."""

    on_unknown_outcome: str = "fail"
    assume_absent_after: float | None = None
    max_in_flight: int = 1
    resolutions: Any = None
    continue_from: str | None = None
    registry_path: str | None = None

    def __post_init__(self) -> None:
        """Check the values.

        :raises ArmConfigurationError: one cannot be.
        """
        may_resend(self.on_unknown_outcome)
        if self.assume_absent_after is not None and self.assume_absent_after < 0:
            msg = f"assume_absent_after must be a number of seconds or a timedelta, not {self.assume_absent_after!r}"
            raise ArmConfigurationError(msg)
        if not 1 <= self.max_in_flight <= MAX_IN_FLIGHT:
            msg = f"max_in_flight must be between 1 and {MAX_IN_FLIGHT}, not {self.max_in_flight!r}"
            raise ArmConfigurationError(msg)


@dataclass(frozen=True, slots=True)
class SubmissionResult:
    """What became of a submission, and what that means for the task."""

    failed: bool
    level: int
    message: str
    accepted: int | None
    rejected: int | None
    rejects_uri: str | None


class SubmissionRun:
    """One submission by one task."""

    def __init__(
        self,
        *,
        client: ArmClient,
        resource: Resource,
        operation: Operation,
        source: Source,
        chunk_size: int,
        policy: RejectPolicy,
        rejects_path: str | None,
        skip_invalid: bool,
    ) -> None:
        self._client = client
        self._resource = resource
        self._operation = operation
        self._source = source
        self._chunk_size = chunk_size
        self._policy = policy
        self._rejects_path = rejects_path
        self._skip_invalid = skip_invalid

    @classmethod
    def prepare(
        cls,
        hook: ArmHook,
        *,
        resource: str,
        action: str,
        records: Any,
        source: str | None,
        chunk_size: int,
        policy: tuple[str, int | str],
        rejects_path: str | None,
        on_invalid: str,
    ) -> SubmissionRun:
        """Check the arguments. Nothing is read and nothing sent.

        :raises ArmConfigurationError: an argument cannot be.
        """
        found, name = find_operation(resource, action)
        operation = OPERATIONS[name]
        check_rejects_path(rejects_path)
        if on_invalid not in (FAIL, REJECT):
            msg = f'on_invalid must be "{FAIL}" or "{REJECT}", not {on_invalid!r}'
            raise ArmConfigurationError(msg)
        if on_invalid == REJECT and not rejects_path:
            msg = f'on_invalid="{REJECT}" needs rejects_path: the rows that are left out go there'
            raise ArmConfigurationError(msg)
        return cls(
            client=hook.client,
            resource=found,
            operation=operation,
            source=open_source(records, source, operation, found.name),
            chunk_size=chunk_size,
            policy=RejectPolicy(*policy),
            rejects_path=rejects_path,
            skip_invalid=on_invalid == REJECT,
        )

    def _prepare_records(self) -> PreparedSubmission:
        """Read the source, check every record and plan the batches."""
        key = self._resource.key
        prepared = prepare(self._source, self._operation, self._chunk_size, key, skip_invalid=self._skip_invalid)
        if prepared.invalid_count:
            invalid = find_invalid(self._source, self._operation, key)
            _, where = write_rejects(invalid, self._rejects_path, prepared.invalid_count, self._operation.record)
            log.warning("%d rows do not fit and are left out; %s", prepared.invalid_count, where)
        return prepared

    def describe(self) -> dict[str, Any]:
        """Give the plan for a dry run."""
        with self._prepare_records() as prepared:
            plan = prepared.plan
        log.info("Dry run: %d records in %d batches, nothing sent", plan.records, len(plan.chunks))
        totals = {currency: total.as_json() for currency, total in sorted(prepared.totals.items())}
        for currency, total in totals.items():
            log.info("%s: %s", currency or "no currency", ", ".join(f"{name} {value}" for name, value in total.items()))
        return {
            "plan_only": True,
            "chunks": len(plan.chunks),
            "records": plan.records,
            "invalid": prepared.invalid_count,
            "totals": totals,
            "plan_sha256": plan.sha256,
        }

    def send(self, context: Context, journal: Journal, rules: SubmitOptions) -> Submitted:
        """Bring every chunk to ARM, or find that it is there.

        :param journal: of this task instance, open for this try.
        :raises ArmError: see :meth:`Sender.send_all`; also where this try cannot know what an earlier one sent.
        """
        ti = context["ti"]
        resend = may_resend(rules.on_unknown_outcome)
        apply_resolutions(journal, read_resolutions(rules.resolutions))
        if not resend:
            fail_if_retry_without_journal(ti, journal, self._operation.replay, "these documents")
        sender = Sender(
            operation=self._operation,
            journal=journal,
            clear_count=_clear_count(ti, journal, rules),
            submit=self._submit,
            poll=lambda uuid: self._client.get_batch(uuid).state,
            resend_unknown=resend,
            look_up=self._look_up if self._resource.name == "documents" else None,
            key=self._resource.key,
            max_in_flight=rules.max_in_flight,
            assume_absent_after=rules.assume_absent_after,
        )
        ledger = self._ledger(ti, rules)
        with self._prepare_records() as prepared, push_unresolved_chunks(ti):
            earlier = ledger.claim(prepared.plan, prepared.chunks()) if ledger is not None else None
            if earlier is not None:
                log.warning(
                    "%s has submitted the very same records: nothing is sent, its batches are given", earlier.owner
                )
                return self._submitted(ti, prepared, earlier.batch_uuids, earlier.recovered)
            with record_outcome(ledger, prepared.plan, journal):
                sent = sender.send_all(prepared.plan, prepared.chunks())
        batch_uuids = [each.batch_uuid for each in sent if each.batch_uuid]
        recovered = [RecoveredChunk(each.index + 1, each.records, each.missing) for each in sent if not each.batch_uuid]
        log.info("%d records are with ARM in %d batches", prepared.plan.records, len(sent))
        return self._submitted(ti, prepared, batch_uuids, recovered)

    @staticmethod
    def _submitted(
        ti: Any, prepared: PreparedSubmission, batch_uuids: list[str], recovered: list[RecoveredChunk]
    ) -> Submitted:
        submitted = Submitted(batch_uuids, recovered, prepared.plan.records, prepared.invalid_count)
        ti.xcom_push(key="batch_uuids", value=batch_uuids)
        # A deferral's own arguments are lost in dag.test().
        ti.xcom_push(key="submitted", value=submitted.as_json())
        return submitted

    def _ledger(self, ti: Any, rules: SubmitOptions) -> SubmissionRegistry | None:
        if rules.registry_path is None:
            return None
        if self._operation.replay is not Replay.BY_KEY:
            msg = f"registry_path is for documents: {self._resource.name} may be submitted any number of times"
            raise ArmConfigurationError(msg)
        return SubmissionRegistry(
            folder_at(rules.registry_path, "registry_path"),
            owner=str(JournalKey.own(ti, rules.continue_from)),
            scope=f"{self._client.base_url} {self._client.client_no}",
            key=self._resource.key,
            poll=self._client.get_batch,
        )

    def _look_up(self, records: list[dict[str, Any]]) -> LookupResult:
        return look_up(records, self._resource.key, document_finder(self._client))

    def _submit(self, records: bytes) -> str:
        receipt = self._client.submit_encoded(self._operation.name, records)
        return str(receipt.batch_uuid)  # the client has seen to it that there is one

    def wait(self, batch_uuids: Sequence[str], times: WaitTimes) -> list[BatchStatus]:
        """Wait here, on the worker, until every batch is finished.

        :raises WaitTimeoutError: the time is up.
        """
        return wait_for_batches(self._client, batch_uuids, times)

    def look(self, batch_uuids: Sequence[str], times: WaitTimes) -> list[BatchStatus] | None:
        """Look at each batch once; ``None`` where one is not finished, or cannot be seen now."""
        return look_at_batches(self._client, batch_uuids, times)

    def judge(self, submitted: Submitted, statuses: Sequence[BatchStatus]) -> SubmissionResult:
        """Count, write the rejects file, and say what it means."""
        batches = submitted.in_chunk_order(statuses)
        totals = count_outcomes([status for _, status in batches], submitted.records)
        bad = None if totals.rejected is None else totals.rejected + submitted.invalid
        outcome = self._policy.task_outcome(submitted.records + submitted.invalid, bad)
        message = describe_counts(self._resource.name, totals.submitted, totals.rejected, submitted.invalid)
        uri = None
        if outcome is not TaskOutcome.SUCCEED:
            checked_by = self._operation if self._skip_invalid else None
            rejects = find_rejects(self._source, self._chunk_size, batches, self._resource.key, checked_by)
            uri, where = write_rejects(rejects, self._rejects_path, bad, self._operation.record)
            message += f"; {where}"
        return SubmissionResult(
            failed=outcome is TaskOutcome.FAIL,
            level=logging.INFO if outcome is TaskOutcome.SUCCEED else logging.WARNING,
            message=message,
            accepted=totals.accepted,
            rejected=totals.rejected,
            rejects_uri=uri,
        )


def _clear_count(ti: Any, journal: Journal, rules: SubmitOptions) -> int:
    """Say which wish of a person this try belongs to: a retry keeps max_tries, a clear raises it."""
    plan = journal.read_plan() if rules.continue_from else None
    return int(ti.max_tries or 0) if plan is None else plan.clear_count
