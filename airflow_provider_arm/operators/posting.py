"""Operator for auto postings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.client.errors import ArmValidationError
from airflow_provider_arm.runtime.arguments import check_exactly_one
from airflow_provider_arm.runtime.base_operator import revealed
from airflow_provider_arm.runtime.write_operator import ArmWriteOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg


log = logging.getLogger(__name__)

_OPERATION = "create_auto_postings"
#: Warnings that the result holds; the log has them all.
SHOWN_WARNINGS = 20


class AutoPostingOperator(ArmWriteOperator):
    """Post a set of auto postings, all or nothing (``POST /clients/{clientno}/autopostings/{autopostingmethod}``).

    A second call would post a second time, so none is sent unless ARM certainly did not take the first; see
    ``ArmWriteOperator``. A set that ARM refuses has posted nothing: the task fails, and its log names every posting
    that is wrong by its place in the set.

    :param method: ARM's name of what is to be posted: the last part of the path. Templated.
    :param postings: the postings by ARM's field names, as a list or JSON text. Templated; the rendered value is not
        shown. Amounts are ``Decimal`` or whole numbers: their keys are not published, so text would be sent as text.
    :param source: address of a ``.jsonl`` or ``.json`` file (local, ``s3://``, ``gs://``, ...). Either this or
        *postings*. Templated.
    :param validate_only: let ARM check the set and post nothing; default ``False``. A set of which any posting has
        ARM's option ``validateOnly`` is a check too. A check is not journalled: it may be repeated.
    :return: ``{"method", "postings", "validate_only", "status", "result_types", "warnings"}``: how many postings,
        whether it was a check, ARM's word for the set, how often each ``resultType`` stands in its answer, and the
        first 20 warnings as ``{"record", "field", "message"}`` with personal data masked.
    :raises ArmFailException: a posting does not fit (nothing was sent), ARM refused the set, or nobody knows whether
        ARM took it.
    :raises ArmTransientException: ARM certainly did not take it; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "method", "postings", "source")
    personal_fields: ClassVar[Sequence[str]] = ("postings",)

    def __init__(
        self,
        *,
        method: str,
        postings: Sequence[Mapping[str, Any]] | str | XComArg | None = None,
        source: str | XComArg | None = None,
        validate_only: bool = False,
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(on_unknown_outcome=on_unknown_outcome, **kwargs)
        check_exactly_one(postings=postings, source=source)
        self.method = method
        self.postings = postings
        self.source: Any = source
        self.validate_only = validate_only

    def execute(self, context: Context) -> dict[str, Any]:
        """Post the set, or have it checked."""
        from airflow_provider_arm.client.ledger_writes import is_validate_only
        from airflow_provider_arm.client.operations import OPERATIONS
        from airflow_provider_arm.runtime.records import open_set
        from airflow_provider_arm.submission.planning.postings import read_postings

        with self._journalled(context) as journal:
            postings = read_postings(open_set(revealed(self.postings), self.source), OPERATIONS[_OPERATION])
            is_check = self.validate_only or is_validate_only(postings)
            if is_check:
                answer = self._send(postings)
                log.warning("ARM has checked the %d postings; nothing was posted (validateOnly)", len(postings))
            else:
                answer = self._write_once(
                    context,
                    journal,
                    operation=_OPERATION,
                    path={"autopostingmethod": self.method},
                    record=postings,
                    what=f"the set of {len(postings)} auto postings ({self.method})",
                    send=lambda: self._send(postings),
                )
        known = {"method": self.method, "postings": len(postings), "validate_only": is_check}
        return {**known, "status": None, "result_types": {}, "warnings": [], **answer}

    def _send(self, postings: list[dict[str, Any]]) -> dict[str, Any]:
        from airflow_provider_arm.runtime.write_results import count_results, list_warnings

        try:
            answer = self.hook.client.create_auto_postings(self.method, postings, validate_only=self.validate_only)
        except ArmValidationError as error:
            for issue in error.errors:
                log.error("Refused: %s", issue)  # noqa: TRY400 - not our traceback but ARM's reasons
            raise
        warnings = list_warnings(answer, postings)
        for warning in warnings:
            log.warning("Posting %(record)s, %(field)s: %(message)s", warning)
        return {
            "status": answer.status,
            "result_types": count_results(answer),
            "warnings": warnings[:SHOWN_WARNINGS],
        }
