"""Operator for auto postings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import Reader, choice, flag, optional, path, records, text
from airflow_provider_arm.client.errors import ArmValidationError
from airflow_provider_arm.runtime.arguments import ON_EMPTY, check_arguments, check_exactly_one, is_rendered_later
from airflow_provider_arm.runtime.base_operator import unwrap
from airflow_provider_arm.runtime.records import check_postings_suffix
from airflow_provider_arm.runtime.write_operator import ArmWriteOperator
from airflow_provider_arm.summary import SUCCESS, count_text, describe_warnings, summary_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg


log = logging.getLogger(__name__)

_OPERATION = "create_auto_postings"
#: Warnings in the result; the log has all of them.
SHOWN_WARNINGS = 20


class AutoPostingOperator(ArmWriteOperator):
    """Post a set of auto postings, all or nothing (``POST /clients/{clientno}/autopostings/{autopostingmethod}``).

    A second call would post a second time, so it is only repeated if ARM has certainly not accepted the first one; see
    ``ArmWriteOperator``. Of a set that ARM refuses nothing is posted: the task fails, and its log names every wrong
    posting by its position in the set.

    :param method: ARM's name of the posting method: the last part of the path. Templated.
    :param postings: the postings by ARM's field names, as a list or JSON text. Templated; the rendered value is not
        shown. Amounts are ``Decimal`` or whole numbers: ARM does not document their fields, so text would be sent as
        text.
    :param source: path of a ``.jsonl`` or ``.json`` file (local, ``s3://``, ``gs://``, ...). Either this or *postings*.
        Templated.
    :param validate_only: let ARM check the set and post nothing. Default ``False``. A set with ARM's option
        ``validateOnly`` in any posting is only checked, too. A check is not journalled, because it may be repeated.
    :param on_empty: what a source without records means: ``"fail"`` (default), ``"skip"`` (the task is skipped) or
        ``"succeed"``.
    :return: ``{"method", "postings", "validate_only", "status", "result_types", "warnings"}``: number of postings,
        whether it was a check, ARM's status of the set, number of postings by ``resultType``, and the first 20 warnings
        as ``{"record", "field", "message"}`` with personal data masked.
    :raises ArmFailException: a posting is invalid (nothing was sent), ARM refused the set, or the outcome is unknown.
    :raises ArmTransientException: ARM has certainly not accepted it; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "method", "postings", "source")
    personal_fields: ClassVar[Sequence[str]] = ("postings",)
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmWriteOperator.argument_readers,
        "method": text,
        "postings": optional(records),
        "source": optional(path()),
        "validate_only": flag,
        "on_empty": choice(*ON_EMPTY),
    }

    def __init__(
        self,
        *,
        method: str,
        postings: Sequence[Mapping[str, Any]] | str | XComArg | None = None,
        source: str | XComArg | None = None,
        validate_only: bool = False,
        on_empty: Literal["fail", "skip", "succeed"] = "fail",
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(on_unknown_outcome=on_unknown_outcome, **kwargs)
        self.method = method
        self.postings = postings
        self.source: Any = source
        self.validate_only = validate_only
        self.on_empty = on_empty
        check_arguments(self)
        check_exactly_one(postings=postings, source=source)
        if isinstance(source, str) and not is_rendered_later(source):
            check_postings_suffix(source)

    def execute(self, context: Context) -> dict[str, Any]:
        """Post the set, or let ARM check it."""
        from airflow_provider_arm.client.ledger_writes import is_validate_only
        from airflow_provider_arm.client.operations import OPERATIONS
        from airflow_provider_arm.runtime.records import open_postings
        from airflow_provider_arm.runtime.resolutions import allow_empty_source
        from airflow_provider_arm.submission.errors import EmptySourceError
        from airflow_provider_arm.submission.planning.postings import read_postings

        operation = OPERATIONS[_OPERATION]
        with self._open_journal(context) as journal:
            try:
                postings = read_postings(open_postings(unwrap(self.postings), self.source, operation), operation)
            except EmptySourceError as error:
                allow_empty_source(self.on_empty, journal, error, "postings")
                return self._end([], is_check=self.validate_only, result={})
            is_check = self.validate_only or is_validate_only(postings)
            if is_check:
                return self._end(postings, is_check=True, result=self._send(postings))
            result = self._write_once(
                context,
                journal,
                operation=_OPERATION,
                path={"autopostingmethod": self.method},
                record=postings,
                name=f"the set of {count_text(len(postings), 'auto posting')} ({self.method})",
                send=lambda: self._send(postings),
            )
        return self._end(postings, is_check=False, result=result)

    def _end(self, postings: list[dict[str, Any]], *, is_check: bool, result: dict[str, Any]) -> dict[str, Any]:
        """Log the outcome, and return the task's result."""
        result = {"status": None, "result_types": {}, "warnings": [], **result}
        subject = f"{count_text(len(postings), 'auto posting')} ({self.method})"
        checked = "only checked: nothing was posted (validateOnly)" if is_check and postings else None
        log.info("%s", summary_line(subject, SUCCESS, checked, describe_warnings(result["warnings"])))
        return {"method": self.method, "postings": len(postings), "validate_only": is_check, **result}

    def _send(self, postings: list[dict[str, Any]]) -> dict[str, Any]:
        from airflow_provider_arm.runtime.write_results import postings_result

        try:
            response = self.hook.client.create_auto_postings(self.method, postings, validate_only=self.validate_only)
        except ArmValidationError as error:
            for issue in error.errors:
                log.error("Refused: %s", issue)  # noqa: TRY400 - ARM's reasons, without our traceback
            raise
        result = postings_result(response, postings)
        for warning in result["warnings"]:
            log.warning("Posting %(record)s, %(field)s: %(message)s", warning)
        return {**result, "warnings": result["warnings"][:SHOWN_WARNINGS]}
