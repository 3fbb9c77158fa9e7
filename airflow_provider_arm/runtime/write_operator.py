"""Base class of the operators for single writes: a journal, and no second request without proof."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import Reader, choice, flag, optional, path
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.runtime.arguments import check_arguments, read_arguments, read_resolution_list
from airflow_provider_arm.runtime.base_operator import ArmBaseOperator
from airflow_provider_arm.runtime.journal_location import open_journal
from airflow_provider_arm.summary import write_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_arm.client.models import WriteResponse
    from airflow_provider_arm.submission.journal.entries import Journal
    from airflow_provider_arm.submission.sending.lookup import LookupResult


class ArmWriteOperator(ArmBaseOperator):
    """Base class of the operators that write one thing, in a call that could book twice if it were repeated.

    The call is journalled before it is sent (in files under *journal_path*, otherwise in Airflow's task state store,
    3.3 and later). If ARM has accepted it, a retried or cleared task returns ARM's response and sends nothing; for a
    new booking start a new DAG run. If the outcome is unknown, the task fails until it is resolved.

    :param journal_path: folder (local, ``s3://``, ``gs://``, ``abfs://``, ...) for the journal in files, the same for
        every try. Absolute. Default ``None``: the task state store. Templated.
    :param durable: without *journal_path*: keep the journal in the task state store. Default ``True``.
    :param on_unknown_outcome: ``"fail"`` (default), or ``"resend"`` to send a call with an unknown outcome again.
    :param resolutions: manual resolutions of calls with an unknown outcome, a list of ``{"chunk_id", "verdict", "by",
        "why"}``; ``verdict`` is ``"accepted"`` or ``"absent"``. The chunk_id is in the error message of the failed task
        and in its XCom ``unresolved_chunks``. Resolutions of other tasks' chunks are ignored. Templated.
    """

    template_fields: Sequence[str] = (*ArmBaseOperator.template_fields, "journal_path", "resolutions")
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmBaseOperator.argument_readers,
        "journal_path": optional(path(absolute=True)),
        "durable": flag,
        "on_unknown_outcome": choice("fail", "resend"),
        "resolutions": read_resolution_list,
    }
    #: Seconds after which a lookup that finds nothing proves that ARM has not accepted the call; ``None``: never.
    assume_absent_after: float | None = None

    def __init__(
        self,
        *,
        journal_path: str | None = None,
        durable: bool = True,
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        resolutions: Sequence[Mapping[str, Any]] | str | XComArg | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.journal_path = journal_path
        self.durable = durable
        self.on_unknown_outcome = on_unknown_outcome
        self.resolutions = resolutions
        check_arguments(self)

    @contextmanager
    def _open_journal(self, context: Context) -> Iterator[Journal]:
        """Open the journal for this try, and raise the client's errors as Airflow's.

        Open it before anything else, so that a try that ends early leaves a trace: without one, nothing was sent.
        """
        with translate_arm_errors(), open_journal(context, self.journal_path, durable=self.durable) as journal:
            read_arguments(self)
            yield journal

    def _write_once(
        self,
        context: Context,
        journal: Journal,
        *,
        operation: str,
        record: Any,
        name: str,
        send: Callable[[], dict[str, Any]],
        path: Mapping[str, Any] | None = None,
        look_up: Callable[[], LookupResult] | None = None,
    ) -> dict[str, Any]:
        """Send *record* unless ARM has it already. Return ARM's response, empty if it is lost.

        :param path: values in the path of the call, beside the client number.
        """
        from airflow_provider_arm.client.operations import OPERATIONS
        from airflow_provider_arm.runtime.resolutions import prepare_journal, push_unresolved_chunks
        from airflow_provider_arm.submission.sending.single_write import SingleWrite, fingerprint

        row, ti, client_no = OPERATIONS[operation], context["ti"], self.hook.client.client_no
        may_resend = prepare_journal(
            ti, journal, row.replay, name, on_unknown_outcome=self.on_unknown_outcome, resolutions=self.resolutions
        )
        write = SingleWrite(
            operation=row,
            journal=journal,
            clear_count=ti.max_tries or 0,  # a clear raises it, a retry does not
            name=name,
            # The same record for another client is another write.
            sha256=fingerprint(row, {"clientno": client_no, **(path or {})}, record),
            send=send,
            resend_unknown=may_resend,
            look_up=look_up,
            assume_absent_after=self.assume_absent_after,
            profile=self.hook.client.readings.changes(),
        )
        with push_unresolved_chunks(ti):
            return write.run() or {}

    def _write_record(
        self,
        context: Context,
        journal: Journal,
        *,
        operation: str,
        record: Mapping[str, Any],
        key: str,
        name: str,
        look_up: Callable[[Mapping[str, Any]], LookupResult] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Send one record unless ARM has it already. Return it as it is sent, and the result.

        :param operation: name of the row in the operations table, and of the client's method.
        :param key: wire name of the natural key.
        :param look_up: looks the record up in ARM, if ARM has an operation for that.
        :raises ArmError: the record is invalid, ARM refused it, or the outcome is unknown.
        """
        from airflow_provider_arm.client.endpoints import to_wire
        from airflow_provider_arm.client.operations import OPERATIONS
        from airflow_provider_arm.runtime.write_results import write_result

        wire = to_wire(OPERATIONS[operation].record, record)
        write: Callable[[Mapping[str, Any]], WriteResponse] = getattr(self.hook.client, operation)
        response = self._write_once(
            context,
            journal,
            operation=operation,
            record=wire,
            name=f"{name} {wire[key]}",
            send=lambda: write_result(write(wire), wire),
            look_up=None if look_up is None else lambda: look_up(wire),
        )
        result = {"account_no": None, "status": None, "result": None, "warnings": [], **response}
        self.log.info("%s", write_line(name, wire[key], result))
        return wire, result
