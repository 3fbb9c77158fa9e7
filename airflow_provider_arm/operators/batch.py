"""Operator that submits customers or documents in batches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import conf

from airflow_provider_arm.argument_readers import (
    Reader,
    choice,
    flag,
    may_be_empty,
    optional,
    path,
    seconds,
    text,
    whole_number,
)
from airflow_provider_arm.argument_readers import records as records_reader
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.links.batch import BATCH_LINKS, batch_address
from airflow_provider_arm.runtime.arguments import (
    ON_EMPTY,
    REJECTS_SUFFIXES,
    SOURCE_SUFFIXES,
    check_arguments,
    check_exactly_one,
    is_rendered_later,
    read_arguments,
    read_resolution_list,
)
from airflow_provider_arm.runtime.base_operator import ArmBaseOperator, unwrap
from airflow_provider_arm.runtime.journal_location import open_journal
from airflow_provider_arm.submission.limits import MAX_CHUNK_SIZE, MAX_IN_FLIGHT
from airflow_provider_arm.submission.results.reject_policy import read_max_rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_arm.runtime.submission import SubmissionRun, SubmitOptions
    from airflow_provider_arm.runtime.submitted import Submitted
    from airflow_provider_arm.submission.results.batch_wait import WaitTimes

#: Seconds between status checks of a batch.
DEFAULT_POLL_INTERVAL = 30.0
#: Seconds to wait for the batches. ARM promises no time; a day is longer than a nightly run.
DEFAULT_TIMEOUT = 24 * 3600.0
#: Actions of each resource, as in the operations table.
_ACTIONS = {"customers": ("create", "update"), "documents": ("create",)}
#: Records per batch: half of the assumed maximum (Q16).
DEFAULT_CHUNK_SIZE = 500


class BatchSubmitOperator(ArmBaseOperator):
    """Submit records to ARM in batches, and wait for them or leave that to a ``BatchSensor``.

    Rests on ``POST``/``PUT /clients/{clientno}/customers/batches``, ``POST /clients/{clientno}/documents/batches`` and
    ``GET /clients/{clientno}/batches/{batchuuid}``. ARM has no list of batches, so each step is journalled before it is
    taken (in files under *journal_path*, otherwise in Airflow's task state store, 3.3 and later): a retry finds its
    batches again and sends none twice. If the outcome of a chunk stays unknown, the task fails until it is resolved.

    :param resource: ``"customers"`` or ``"documents"``. Templated.
    :param action: ``"create"`` (default), or ``"update"`` for customers. Templated.
    :param records: the records by ARM's field names, a list or JSON text. Templated, the rendered value is not shown.
        For personal data prefer *source*, which keeps records out of Airflow's database.
    :param source: path of a ``.jsonl``, ``.json``, ``.csv`` or ``.parquet`` (extra ``parquet``) file (local,
        ``s3://``, ``gs://``, ...). Either this or *records*. Templated.
    :param chunk_size: records per batch, 1 to 1000. Default 500. Templated.
    :param wait_for_completion: wait until every batch is finished. Default ``False``.
    :param deferrable: wait in the triggerer, not on a worker. Default ``[operators] default_deferrable``.
    :param poll_interval: seconds (or a ``timedelta``) between status checks of a young batch. Default 30. Templated.
    :param max_poll_interval: seconds between status checks of an old batch, at most. Default: five minutes, or
        *poll_interval* if that is longer. The end of a batch is detected at most a twentieth of its age late.
        Templated.
    :param timeout: seconds (or a ``timedelta``) to wait at most. Default: one day. ARM processes the batches further.
    :param on_rejected: ``"fail"`` (default) or ``"warn"``: what happens if there are more rejects than *max_rejected*.
    :param max_rejected: rejects that do not fail the task: a count or a share such as ``"2%"``. Default 0. Templated.
    :param rejects_path: path of a ``.jsonl`` or ``.csv`` file for the rejects, each with its row number (``_row``),
        ARM's reasons (``_reasons``) and its record. Corrected, it is a valid *source*. Templated.
    :param warnings_path: path of a ``.jsonl`` or ``.csv`` file for ARM's warnings about accepted records, one line each
        with row, key, field and text. Default: their number is in the result, and the first fields are in the log.
        Templated.
    :param on_invalid: ``"fail"`` (default): if rows are invalid, all are reported at once and nothing is sent; or
        ``"reject"``: invalid rows are skipped, written to *rejects_path* with the reasons, and counted as rejects.
    :param on_empty: what a source without records means: ``"fail"`` (default), ``"skip"`` (the task is skipped) or
        ``"succeed"`` (the result has no batches, for which a ``BatchSensor`` does not wait). A file of no bytes has no
        records; one that does not exist fails the task in any case, and so does a source that had records before.
    :param journal_path: folder (local, ``s3://``, ``gs://``, ``abfs://``, ...) for the journal in files; each DAG, run,
        task and map index has its own subfolder. The same place for every try, so no disk that ends with its worker.
        Absolute. Default ``None``: the task state store. Templated.
    :param continue_from: id of a task of this DAG run whose submission this one continues where it stopped, with the
        same records and *journal_path*. Default ``None``: a submission of its own.
    :param registry_path: folder of the submission registry, shared by all runs that may submit the same documents. If
        another run has submitted the same documents, nothing is sent and its batches are returned; if it has submitted
        some of them, the task fails and names them. Rejects may be submitted again. Absolute. Default ``None``: runs
        are not compared. Documents only. Templated.
    :param durable: without *journal_path*: keep the journal in the task state store. Default ``True``.
    :param on_unknown_outcome: ``"fail"`` (default), or ``"resend"`` to send a chunk with an unknown outcome again.
        Customers are sent again in any case, because a repeat changes nothing. Documents are looked up first
        (``GET /clients/{clientno}/documents/{documentno}``): if ARM has them, it has accepted the chunk.
    :param assume_absent_after: seconds (or a ``timedelta``) after which documents that a lookup does not find count as
        not accepted and are sent again: the longest time that ARM may need for a batch. Counted from the first lookup
        that does not find them; a later try decides. Default ``None``: their absence proves nothing.
    :param resolutions: manual resolutions of chunks with an unknown outcome, a list of ``{"chunk_id", "verdict", "by",
        "why"}`` with an optional ``"batch_uuid"``; ``verdict`` is ``"accepted"`` or ``"absent"``. The chunk_id is in
        the error message of the failed task and in its XCom ``unresolved_chunks``. Resolve as accepted only when ARM
        has finished the batch: without a batchUuid, records that ARM does not have then count as rejects. Resolutions
        of other tasks' chunks are ignored. Templated.
    :param max_in_flight: batches that are sent at once, 1 to 32. Default 1. More are faster if the network is slow, but
        a broken connection then leaves as many chunks with an unknown outcome.
    :param plan_only: read and validate everything, send nothing, return the plan. Default ``False``.
    :return: ``{"batch_uuids", "submitted", "accepted", "rejected", "rejects_uri", "warnings", "warnings_uri",
        "invalid", "summary"}``: ``warnings`` is the number of records with warnings, ``invalid`` that of skipped rows,
        ``summary`` the outcome in one sentence, ``"blank_rows"`` the number of rows without any value, which are
        skipped, and ``"doubled_keys"`` that of customers that come more than once, of which the last row wins. And for
        a ``BatchSensor`` ``"resource", "action", "source", "chunk_size", "on_invalid"``, ``"batch_records"``, the
        number of records of each batch, and ``"recovered"``, the recovered chunks, each ``{"chunk", "records",
        "missing"}`` with the positions of the records that ARM does not have. ``accepted``, ``rejected`` and
        ``warnings`` are ``None`` while unknown. With *plan_only*
        ``{"plan_only", "chunks", "records", "invalid", "blank_rows", "doubled_keys", "totals", "plan_sha256"}``;
        ``totals`` of documents by currency, exact, as text.
    :raises ArmFailException: invalid input (nothing was sent), a refusal, too many rejects, or an unknown outcome.
    :raises ArmTransientException: ARM is not available; a retry continues where this try stopped.
    """

    template_fields: Sequence[str] = (
        *ArmBaseOperator.template_fields,
        "resource",
        "action",
        "records",
        "source",
        "rejects_path",
        "warnings_path",
        "max_rejected",
        "journal_path",
        "registry_path",
        "resolutions",
        "chunk_size",
        "poll_interval",
        "max_poll_interval",
        "timeout",
        "max_in_flight",
        "assume_absent_after",
    )
    personal_fields: ClassVar[Sequence[str]] = ("records",)
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmBaseOperator.argument_readers,
        "resource": choice(*_ACTIONS),
        "action": choice("create", "update"),
        "records": optional(records_reader),
        "source": optional(path(*SOURCE_SUFFIXES)),
        "chunk_size": whole_number(1, MAX_CHUNK_SIZE),
        "wait_for_completion": flag,
        "deferrable": flag,
        "poll_interval": seconds(positive=True),
        "max_poll_interval": optional(seconds()),
        "timeout": seconds(),
        "on_rejected": choice("fail", "warn"),
        "on_invalid": choice("fail", "reject"),
        "on_empty": choice(*ON_EMPTY),
        "max_rejected": read_max_rejected,
        "rejects_path": may_be_empty(path(*REJECTS_SUFFIXES)),
        "warnings_path": may_be_empty(path(*REJECTS_SUFFIXES)),
        "journal_path": optional(path(absolute=True)),
        "continue_from": optional(text),
        "registry_path": optional(path(absolute=True)),
        "durable": flag,
        "on_unknown_outcome": choice("fail", "resend"),
        "assume_absent_after": optional(seconds()),
        "resolutions": read_resolution_list,
        "max_in_flight": whole_number(1, MAX_IN_FLIGHT),
        "plan_only": flag,
    }
    operator_extra_links = BATCH_LINKS

    def __init__(
        self,
        *,
        resource: Literal["customers", "documents"],
        action: Literal["create", "update"] = "create",
        records: Sequence[Mapping[str, Any]] | str | XComArg | None = None,
        source: str | XComArg | None = None,
        chunk_size: int | str = DEFAULT_CHUNK_SIZE,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float | str = DEFAULT_POLL_INTERVAL,
        max_poll_interval: timedelta | float | str | None = None,
        timeout: timedelta | float | str = DEFAULT_TIMEOUT,
        on_rejected: Literal["fail", "warn"] = "fail",
        on_invalid: Literal["fail", "reject"] = "fail",
        on_empty: Literal["fail", "skip", "succeed"] = "fail",
        max_rejected: int | str = 0,
        rejects_path: str | None = None,
        warnings_path: str | None = None,
        journal_path: str | None = None,
        continue_from: str | None = None,
        registry_path: str | None = None,
        durable: bool = True,
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        assume_absent_after: timedelta | float | str | None = None,
        resolutions: Sequence[Mapping[str, Any]] | str | XComArg | None = None,
        max_in_flight: int | str = 1,
        plan_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.action = action
        self.records = records
        self.source: Any = source
        self.chunk_size: Any = chunk_size
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval: Any = poll_interval
        self.max_poll_interval: Any = max_poll_interval
        self.timeout: Any = timeout
        self.on_rejected = on_rejected
        self.on_invalid = on_invalid
        self.on_empty = on_empty
        self.max_rejected = max_rejected
        self.rejects_path = rejects_path
        self.warnings_path = warnings_path
        self.journal_path = journal_path
        self.continue_from = continue_from
        self.registry_path = registry_path
        self.durable = durable
        self.on_unknown_outcome = on_unknown_outcome
        self.assume_absent_after: Any = assume_absent_after
        self.resolutions = resolutions
        self.max_in_flight: Any = max_in_flight
        self.plan_only = plan_only
        check_arguments(self)
        check_exactly_one(records=records, source=source)
        self._check_combinations()

    def _check_combinations(self) -> None:
        """Check the arguments that depend on each other, as far as they are not templates."""
        if not is_rendered_later(self.action):
            choice(*_ACTIONS.get(self.resource, ("create", "update")))("action", self.action)
        if self.on_invalid == "reject" and not self.rejects_path:
            raise ArmConfigurationError('on_invalid="reject" needs rejects_path, where the invalid rows are written')
        if self.continue_from and not self.journal_path:
            raise ArmConfigurationError(
                "continue_from needs journal_path: a task cannot read another task's journal in the task state store"
            )
        if self.registry_path and self.resource == "customers":
            raise ArmConfigurationError("registry_path is only for documents: customers may be submitted repeatedly")

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit what ARM does not have yet; then wait, defer, or return."""
        from airflow_provider_arm.runtime.batch_polling import build_deferral, wait_for_batches

        with translate_arm_errors():
            if self.plan_only:
                read_arguments(self)
                return self._build_run().describe_plan()
            # Opened first, so that a try that ends early leaves a trace: without one, nothing was sent.
            with open_journal(
                context, self.journal_path, durable=self.durable, continue_from=self.continue_from
            ) as journal:
                read_arguments(self)
                self._check_combinations()
                options, run = self._build_options(), self._build_run()
                submitted = run.send(context, journal, options)
            self._push_addresses(context, submitted)
            if not self.wait_for_completion or submitted.records == 0:
                return self._result(submitted)
            times = self._times()
            if self.deferrable and submitted.batch_uuids:
                self.defer(**build_deferral(self, [submitted], times, submitted=submitted.as_json()))
            statuses = wait_for_batches(self.hook.client, submitted, times)
            return self._result(submitted, run.evaluate(submitted, statuses))

    def _push_addresses(self, context: Context, submitted: Submitted) -> None:
        """Log the address of each batch in ARM's API, and push them as the XCom ``batch_addresses``."""
        addresses = [batch_address(self, batch_uuid) for batch_uuid in submitted.batch_uuids]
        for address in addresses:
            self.log.info("Batch at ARM (a request needs a token): %s", address)
        context["ti"].xcom_push(key="batch_addresses", value=addresses)

    def execute_complete(
        self, context: Context, event: Any, submitted: dict[str, Any] | None = None, deadline: float | None = None
    ) -> dict[str, Any]:
        """Poll each batch once more after the trigger, and evaluate it as a wait on a worker does.

        If ARM is not available now, or a batch is not finished, the task defers again.

        :param submitted: what ARM has accepted, as the deferral stored it.
        :param deadline: unix seconds at which the wait ends, regardless of the number of deferrals.
        """
        from airflow_provider_arm.runtime.batch_polling import build_deferral, poll_batches
        from airflow_provider_arm.runtime.submitted import Submitted
        from airflow_provider_arm.triggers.events import check_event

        with translate_arm_errors():
            check_event(event)
            read_arguments(self)
            run = self._build_run()
            if submitted is None:
                # dag.test() loses the arguments of a deferral.
                ti = context["ti"]
                submitted = ti.xcom_pull(task_ids=self.task_id, key="submitted", map_indexes=ti.map_index)
            accepted = Submitted.from_result(submitted)
            times = self._times(deadline)
            statuses = poll_batches(self.hook.client, accepted, times)
            if statuses is None:
                self.defer(**build_deferral(self, [accepted], times, submitted=accepted.as_json()))
            return self._result(accepted, run.evaluate(accepted, statuses))

    def _times(self, deadline: float | None = None) -> WaitTimes:
        from airflow_provider_arm.submission.results.batch_wait import WaitTimes

        now = time.time()
        return WaitTimes(
            now, now + self.timeout if deadline is None else deadline, self.poll_interval, self.max_poll_interval
        )

    def _build_options(self) -> SubmitOptions:
        from airflow_provider_arm.runtime.submission import SubmitOptions

        return SubmitOptions(
            on_unknown_outcome=self.on_unknown_outcome,
            assume_absent_after=self.assume_absent_after,
            max_in_flight=self.max_in_flight,
            resolutions=self.resolutions,
            continue_from=self.continue_from,
            registry_path=self.registry_path,
        )

    def _build_run(self) -> SubmissionRun:
        from airflow_provider_arm.runtime.submission import SubmissionRun

        return SubmissionRun(
            self.hook,
            resource=self.resource,
            action=self.action,
            records=unwrap(self.records),
            source=self.source,
            chunk_size=self.chunk_size,
            policy=(self.on_rejected, self.max_rejected),
            rejects_path=self.rejects_path,
            warnings_path=self.warnings_path,
            on_invalid=self.on_invalid,
            on_empty=self.on_empty,
        )

    def _result(self, submitted: Submitted, counts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the task's result; without *counts*, the outcome is not known yet, or there was nothing to send."""
        if counts is None:
            count = 0 if submitted.records == 0 else None
            counts = {"accepted": count, "rejected": count, "rejects_uri": None, "warnings": count}
            counts |= {"warnings_uri": None, "summary": submitted.summary()}
            self.log.info("%s", counts["summary"])
        return {**submitted.as_json(), **counts}
