"""What the operators share that book one thing at once: a journal, and no second send without proof."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.runtime.arguments import check_choice
from airflow_provider_arm.runtime.base_operator import ArmBaseOperator
from airflow_provider_arm.runtime.journal_location import open_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_arm.client.models import WriteResponse
    from airflow_provider_arm.submission.journal.entries import Journal
    from airflow_provider_arm.submission.sending.lookup import LookupResult


class ArmWriteOperator(ArmBaseOperator):
    """Base of the operators whose call must not be repeated blindly.

    The call is journalled before it is sent (in files under *journal_path*, else in Airflow's task state store, 3.3 and
    later). A retry or a cleared task that finds ARM's answer gives it and sends nothing, because a repeat would book
    twice: a new booking is a new DAG run. Where nobody knows whether ARM took the call, the task stops for a person.

    :param journal_path: folder (local, ``s3://``, ``gs://``, ``abfs://``, ...) under which the journal is kept in
        files; the same place for every try. Absolute; default ``None``: the task state store. Templated.
    :param durable: without *journal_path*: keep the journal in the task state store; default ``True``.
    :param on_unknown_outcome: ``"fail"`` (default), or ``"resend"`` to send again what may or may not have reached ARM.
    :param resolutions: what somebody has found out about a call of which nobody knew: a list of ``{"chunk_id",
        "verdict", "by", "why"}``; ``verdict`` is ``"accepted"`` or ``"absent"``. The case stands in the message that
        stopped the task, and in its XCom ``unresolved_chunks``. Journalled. A case that is not this task's is passed
        over. Templated.
    """

    template_fields: Sequence[str] = (*ArmBaseOperator.template_fields, "journal_path", "resolutions")

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
        check_choice("on_unknown_outcome", on_unknown_outcome, ("fail", "resend"))
        self.journal_path = journal_path
        self.durable = durable
        self.on_unknown_outcome = on_unknown_outcome
        self.resolutions = resolutions

    @contextmanager
    def _journalled(self, context: Context) -> Iterator[Journal]:
        """Open the journal for the whole of this try; raise the client's errors as Airflow's.

        First of all, so that a try which ends early has left its trace: where none is, nothing was sent.
        """
        with translate_arm_errors(), open_journal(context, self.journal_path, durable=self.durable) as journal:
            yield journal

    def _write_once(
        self,
        context: Context,
        journal: Journal,
        *,
        operation: str,
        record: Any,
        what: str,
        send: Callable[[], dict[str, Any]],
        path: Mapping[str, Any] | None = None,
        look_up: Callable[[], LookupResult] | None = None,
        assume_absent_after: float | None = None,
    ) -> dict[str, Any]:
        """Bring *record* to ARM, or find that it is there; gives ARM's answer, empty where the journal has not kept it.

        :param operation: name of the row in the operations table.
        :param record: as it goes on the wire.
        :param what: names it in log and errors.
        :param send: see ``SingleWrite``, as *look_up* and *assume_absent_after*.
        """
        from airflow_provider_arm.runtime.single_write import run_single

        return run_single(
            context,
            journal,
            operation=operation,
            # The ledger belongs to the content: another client number is another booking.
            path={"clientno": self.hook.client.client_no, **(path or {})},
            record=record,
            what=what,
            send=send,
            on_unknown_outcome=self.on_unknown_outcome,
            resolutions=self.resolutions,
            look_up=look_up,
            assume_absent_after=assume_absent_after,
        )

    def _write_record(
        self,
        context: Context,
        journal: Journal,
        *,
        operation: str,
        record: Mapping[str, Any],
        key: str,
        what: str,
        look_up: Callable[[Mapping[str, Any]], LookupResult] | None = None,
        assume_absent_after: float | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Write one record; gives it as it goes on the wire, and ARM's answer in short.

        :param operation: name of the row, and of the client's method.
        :param key: wire name of the natural key.
        :param look_up: looks for the wire record in ARM, where that can be; see ``SingleWrite``, as
            *assume_absent_after*.
        :raises ArmError: it does not fit, ARM refused it, or nobody knows what became of it.
        """
        from airflow_provider_arm.client.endpoints import to_wire
        from airflow_provider_arm.client.operations import OPERATIONS
        from airflow_provider_arm.runtime.write_results import in_short

        wire = to_wire(OPERATIONS[operation].record, record)
        write: Callable[[Mapping[str, Any]], WriteResponse] = getattr(self.hook.client, operation)
        answer = self._write_once(
            context,
            journal,
            operation=operation,
            record=wire,
            what=f"{what} {wire[key]}",
            send=lambda: in_short(write(wire), wire),
            look_up=None if look_up is None else lambda: look_up(wire),
            assume_absent_after=assume_absent_after,
        )
        self.log.info("%s %s: %s", what.capitalize(), wire[key], answer.get("result"))
        return wire, in_short(None, wire) | answer
