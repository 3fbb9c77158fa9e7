"""Submit customers or documents in batches, and see what became of every record."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import conf

from airflow_provider_arm.exceptions import ArmBatchFailedException, translate_arm_errors
from airflow_provider_arm.links.batch import BatchLink
from airflow_provider_arm.runtime.arguments import (
    REJECTS_SUFFIXES,
    SOURCE_SUFFIXES,
    check_choice,
    check_exactly_one,
    check_range,
    check_suffix,
)
from airflow_provider_arm.runtime.base_operator import ArmBaseOperator, as_seconds, revealed
from airflow_provider_arm.runtime.journal_location import open_journal
from airflow_provider_arm.submission.limits import MAX_CHUNK_SIZE, MAX_IN_FLIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.runtime.submission import SubmissionResult, SubmissionRun, SubmitOptions, Submitted
    from airflow_provider_arm.submission.results.batch_wait import WaitTimes

#: Seconds between two looks at a batch.
DEFAULT_POLL_INTERVAL = 30.0
#: Seconds to wait for the batches: ARM promises no time; a day is longer than any night's work.
DEFAULT_TIMEOUT = 24 * 3600.0
#: Actions of each resource: the operations table has a batch operation for each.
_ACTIONS = {"customers": ("create", "update"), "documents": ("create",)}
#: Records per batch: half of what ARM is taken to accept at most.
DEFAULT_CHUNK_SIZE = 500


class BatchSubmitOperator(ArmBaseOperator):
    """Submit records to ARM in batches; wait for them or leave that to a ``BatchSensor``.

    Rests on ``POST``/``PUT /clients/{clientno}/customers/batches``, ``POST /clients/{clientno}/documents/batches`` and
    ``GET /clients/{clientno}/batches/{batchuuid}``. ARM stores a batch and processes it later, and has no list of
    batches: each step is journalled before it is taken (in files under *journal_path*, else in Airflow's task state
    store, 3.3 and later), so that a retry finds its batches again and never sends one twice. What cannot be known stops
    for a person.

    :param resource: ``"customers"`` or ``"documents"``. Templated.
    :param action: ``"create"`` (default), or ``"update"`` for customers. Templated.
    :param records: the records by ARM's field names. Templated, rendered value not shown; for real people prefer
        *source*, which keeps them out of Airflow's database.
    :param source: address of a ``.jsonl``, ``.json``, ``.csv`` or ``.parquet`` (extra ``parquet``) file (local,
        ``s3://``, ``gs://``, ...). Either this or *records*. Templated.
    :param chunk_size: records per batch, 1 to 1000; default 500.
    :param wait_for_completion: wait until every batch is finished; default ``False``.
    :param deferrable: wait in the triggerer and not on a worker; default ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks at a young batch; default 30.
    :param max_poll_interval: seconds between two looks at an old batch; default five minutes, or *poll_interval* where
        that is longer. A batch's end is noticed at most a twentieth of its age later than it came.
    :param timeout: seconds (or ``timedelta``) to wait at most; default one day. The batches go on in ARM after it.
    :param on_rejected: ``"fail"`` (default) or ``"warn"``: what more refused records than *max_rejected* mean.
    :param max_rejected: refused records that are no failure: a count (default 0) or a share such as ``"2%"``.
    :param rejects_path: address of a ``.jsonl`` or ``.csv`` file for the refused records: each with its row number
        (``_row``), ARM's reasons (``_reasons``) and the record itself. Corrected, it is a valid *source*. Templated.
    :param on_invalid: ``"fail"`` (default): rows that do not fit are all reported at once and nothing is sent; or
        ``"reject"``: they are left out, go to *rejects_path* with what is wrong with them, and count as refused.
    :param journal_path: folder (local, ``s3://``, ``gs://``, ``abfs://``, ...) under which the journal is kept in
        files, in a folder of its own per DAG, run, task and map index. It must be the same place for every try: no disk
        that ends with its worker. Absolute; default ``None``: the task state store. Templated.
    :param continue_from: id of a task of this DAG run whose submission this one continues, with the same records and
        *journal_path*: it goes on where that one stopped. Default ``None``: a submission of its own.
    :param registry_path: folder, shared by all runs that may submit the same documents, in which each notes the keys
        that it submits. A run whose documents another one has submitted sends nothing: where they are the very same it
        gives that run's batches, else it fails and names them. What ARM refused may go again. Absolute; default
        ``None``: runs know nothing of each other. Documents only. Templated.
    :param durable: without *journal_path*: keep the journal in the task state store; default ``True``.
    :param on_unknown_outcome: ``"fail"`` (default), or ``"resend"`` to send a chunk again of which nobody knows
        whether ARM took it. Customers are sent again in any case: a repeat changes nothing. Documents are looked for in
        ARM first (``GET /clients/{clientno}/documents/{documentno}``): a chunk whose documents are there was taken.
    :param assume_absent_after: seconds (or ``timedelta``) after which documents that ARM does not have count as not
        taken, and are sent: your word on how long ARM may work on a batch. Counted from the first try that looks for
        them and does not find them; a later try decides. Default ``None``: their absence proves nothing.
    :param resolutions: what somebody has found out about chunks of which nobody knew: a list of ``{"chunk_id",
        "verdict", "by", "why"}`` and perhaps ``"batch_uuid"``; ``verdict`` is ``"accepted"`` or ``"absent"``. Say
        accepted once ARM has done with the batch: without its batchUuid, what is absent then counts as refused. The
        case stands in the message that stopped the task, and in its XCom ``unresolved_chunks``. Journalled with the
        chunk. A case that is not this task's is passed over. Templated.
    :param max_in_flight: how many batches may be on their way to ARM at once; default 1. More are faster where ARM is
        far away; a broken connection then leaves as many of which nobody knows.
    :param plan_only: read and check everything, send nothing; gives the plan. Default ``False``.
    :return: ``{"batch_uuids", "submitted", "accepted", "rejected", "rejects_uri", "invalid"}`` (``invalid``: rows that
        were left out) and, for a ``BatchSensor``, ``"resource", "action", "source", "chunk_size", "on_invalid"`` and
        ``"recovered"``: chunks that ARM has and whose batchUuid is lost, each ``{"chunk", "records", "missing"}`` with
        the places of the records that ARM does not have. ``accepted`` and ``rejected`` are ``None`` while unknown. With
        *plan_only* ``{"plan_only", "chunks", "records", "invalid", "totals", "plan_sha256"}``; ``totals`` of documents
        by currency, exact, as text.
    :raises ArmFailException: bad input (nothing was sent), a refusal, too many rejects, or an unknown outcome.
    :raises ArmTransientException: ARM could not answer; a retry goes on where this try stopped.
    """

    template_fields: Sequence[str] = (
        *ArmBaseOperator.template_fields,
        "resource",
        "action",
        "records",
        "source",
        "rejects_path",
        "max_rejected",
        "journal_path",
        "registry_path",
        "resolutions",
    )
    personal_fields: ClassVar[Sequence[str]] = ("records",)
    operator_extra_links = (BatchLink(),)

    def __init__(
        self,
        *,
        resource: Literal["customers", "documents"],
        action: Literal["create", "update"] = "create",
        records: Sequence[Mapping[str, Any]] | str | XComArg | None = None,
        source: str | XComArg | None = None,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        max_poll_interval: float | None = None,
        timeout: timedelta | float = DEFAULT_TIMEOUT,
        on_rejected: Literal["fail", "warn"] = "fail",
        on_invalid: Literal["fail", "reject"] = "fail",
        max_rejected: int | str = 0,
        rejects_path: str | None = None,
        journal_path: str | None = None,
        continue_from: str | None = None,
        registry_path: str | None = None,
        durable: bool = True,
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        assume_absent_after: timedelta | float | None = None,
        resolutions: Sequence[Mapping[str, Any]] | str | XComArg | None = None,
        max_in_flight: int = 1,
        plan_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("resource", resource, tuple(_ACTIONS))
        check_choice("action", action, _ACTIONS.get(resource, ("create", "update")))
        check_exactly_one(records=records, source=source)
        check_suffix("source", source, SOURCE_SUFFIXES)
        check_suffix("rejects_path", rejects_path, REJECTS_SUFFIXES)
        check_range("chunk_size", chunk_size, 1, MAX_CHUNK_SIZE)
        check_range("max_in_flight", max_in_flight, 1, MAX_IN_FLIGHT)
        check_choice("on_rejected", on_rejected, ("fail", "warn"))
        check_choice("on_invalid", on_invalid, ("fail", "reject"))
        check_choice("on_unknown_outcome", on_unknown_outcome, ("fail", "resend"))
        self.resource = resource
        self.action = action
        self.records = records
        self.source: Any = source
        self.chunk_size = chunk_size
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        self.on_rejected = on_rejected
        self.on_invalid = on_invalid
        self.max_rejected = max_rejected
        self.rejects_path = rejects_path
        self.journal_path = journal_path
        self.continue_from = continue_from
        self.registry_path = registry_path
        self.durable = durable
        self.on_unknown_outcome = on_unknown_outcome
        self.assume_absent_after = as_seconds(assume_absent_after)
        self.resolutions = resolutions
        self.max_in_flight = max_in_flight
        self.plan_only = plan_only

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit what is not yet with ARM; then wait, defer, or return."""
        with translate_arm_errors():
            rules = self._rules()
            if self.plan_only:
                return self._run().describe()
            # First of all, so that a try which ends early has left its trace: where none is, nothing was sent.
            with open_journal(
                context, self.journal_path, durable=self.durable, continue_from=self.continue_from
            ) as journal:
                run = self._run()
                submitted = run.send(context, journal, rules)
            if not self.wait_for_completion:
                return self._result(submitted)
            times = self._times()
            if self.deferrable and submitted.batch_uuids:
                self._defer(submitted, times)
            return self._finish(run, submitted, run.wait(submitted.batch_uuids, times))

    def execute_complete(
        self,
        context: Context,
        event: Any,
        submitted: dict[str, Any] | None = None,
        deadline: float | None = None,
    ) -> dict[str, Any]:
        """Go on after the trigger: look at each batch once more and judge it, as the waiting worker does.

        Where ARM cannot answer at this moment, or no longer says that a batch is finished, the wait goes on.

        :param submitted: what of it is with ARM.
        :param deadline: unix seconds at which the wait ends however often it was deferred.
        """
        from airflow_provider_arm.runtime.submission import Submitted
        from airflow_provider_arm.triggers.events import check_event

        with translate_arm_errors():
            check_event(event)
            run = self._run()
            if submitted is None:
                # dag.test() drops the arguments of a deferral and keeps only the event.
                ti = context["ti"]
                submitted = ti.xcom_pull(task_ids=self.task_id, key="submitted", map_indexes=ti.map_index)
            with_arm = Submitted.from_json(submitted)
            times = self._times(deadline)
            statuses = run.look(with_arm.batch_uuids, times)
            if statuses is None:
                self._defer(with_arm, times)
            return self._finish(run, with_arm, statuses)

    def _times(self, deadline: float | None = None) -> WaitTimes:
        from airflow_provider_arm.submission.results.batch_wait import WaitTimes

        now = time.time()
        ends = now + self.timeout if deadline is None else deadline
        return WaitTimes(now, ends, self.poll_interval, self.max_poll_interval)

    def _rules(self) -> SubmitOptions:
        from airflow_provider_arm.runtime.submission import SubmitOptions

        return SubmitOptions(
            on_unknown_outcome=self.on_unknown_outcome,
            assume_absent_after=self.assume_absent_after,
            max_in_flight=self.max_in_flight,
            resolutions=self.resolutions,
            continue_from=self.continue_from,
            registry_path=self.registry_path,
        )

    def _run(self) -> SubmissionRun:
        """Check the arguments; nothing is read yet."""
        from airflow_provider_arm.runtime.submission import SubmissionRun

        return SubmissionRun.prepare(
            self.hook,
            resource=self.resource,
            action=self.action,
            records=revealed(self.records),
            source=self.source,
            chunk_size=self.chunk_size,
            policy=(self.on_rejected, self.max_rejected),
            rejects_path=self.rejects_path,
            on_invalid=self.on_invalid,
        )

    def _defer(self, submitted: Submitted, times: WaitTimes) -> NoReturn:
        from airflow_provider_arm.triggers.batch import DEFER_MARGIN, BatchTrigger

        self.defer(
            trigger=BatchTrigger(
                batch_uuids=submitted.batch_uuids,
                arm_conn_id=self.arm_conn_id,
                client_no=self.hook.client.client_no,
                poll_interval=self.poll_interval,
                started=times.started,
                deadline=times.deadline,
                max_poll_interval=self.max_poll_interval,
            ),
            method_name="execute_complete",
            kwargs={"submitted": submitted.as_json(), "deadline": times.deadline},
            timeout=timedelta(seconds=max(0.0, times.deadline - times.started)) + DEFER_MARGIN,
        )

    def _finish(self, run: SubmissionRun, submitted: Submitted, statuses: Sequence[BatchStatus]) -> dict[str, Any]:
        outcome = run.judge(submitted, statuses)
        if outcome.failed:
            raise ArmBatchFailedException(outcome.message)
        self.log.log(outcome.level, outcome.message)
        return self._result(submitted, outcome)

    def _result(self, submitted: Submitted, outcome: SubmissionResult | None = None) -> dict[str, Any]:
        return {
            "batch_uuids": submitted.batch_uuids,
            "submitted": submitted.records,
            "accepted": outcome.accepted if outcome else None,
            "rejected": outcome.rejected if outcome else None,
            "rejects_uri": outcome.rejects_uri if outcome else None,
            # By these a BatchSensor finds the refused records again.
            "resource": self.resource,
            "action": self.action,
            "source": self.source,
            "chunk_size": self.chunk_size,
            "on_invalid": self.on_invalid,
            "invalid": submitted.invalid,
            "recovered": [each.as_json() for each in submitted.recovered],
        }
