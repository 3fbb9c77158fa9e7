"""Operator for one document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import Reader, optional, record, seconds
from airflow_provider_arm.runtime.arguments import check_arguments
from airflow_provider_arm.runtime.base_operator import unwrap
from airflow_provider_arm.runtime.records import read_record
from airflow_provider_arm.runtime.write_operator import ArmWriteOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_arm.submission.sending.lookup import LookupResult


class DocumentCreateOperator(ArmWriteOperator):
    """Create one document, an invoice or credit note (``POST /clients/{clientno}/documents``; the path is assumed).

    ARM processes it at once. What ARM does with a second document of the same ``documentNo`` is not documented, so it
    is only sent again if ARM has certainly not accepted it; see ``ArmWriteOperator``. If the outcome is unknown, it is
    looked up (``GET /clients/{clientno}/documents/{documentno}``); if ARM has it as it was sent, ARM has accepted it.

    :param document: the document by ARM's field names (``documentNo``, ``customerNo``, ...): a mapping, JSON text, or
        the path of a ``.json`` file. Templated; the rendered value is not shown. Amounts are ``Decimal``, whole
        numbers or text, never floats.
    :param assume_absent_after: seconds (or a ``timedelta``) after which a document that a lookup does not find counts
        as not accepted and is sent again. Counted from the first lookup that does not find it; a later try decides.
        Default ``None``: its absence proves nothing.
    :return: ``{"document_no", "customer_no", "account_no", "status", "result", "warnings"}``; ``status`` and
        ``result`` as ARM returns them, ``warnings`` a list of ``{"field", "message"}`` with personal data masked.
    :raises ArmFailException: the document is invalid (nothing was sent), ARM refused it, or the outcome is unknown.
    :raises ArmTransientException: ARM has certainly not accepted it; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "document")
    personal_fields: ClassVar[Sequence[str]] = ("document",)
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmWriteOperator.argument_readers,
        "document": record,
        "assume_absent_after": optional(seconds()),
    }

    def __init__(
        self,
        *,
        document: Mapping[str, Any] | str | XComArg,
        assume_absent_after: timedelta | float | None = None,
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(on_unknown_outcome=on_unknown_outcome, **kwargs)
        self.document = document
        self.assume_absent_after: Any = assume_absent_after
        check_arguments(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the document."""
        with self._open_journal(context) as journal:
            wire, result = self._write_record(
                context,
                journal,
                operation="create_document",
                record=read_record(unwrap(self.document), "document"),
                key="documentNo",
                name="document",
                look_up=self._look_up,
            )
        return {"document_no": wire["documentNo"], "customer_no": wire["customerNo"], **result}

    def _look_up(self, wire: Mapping[str, Any]) -> LookupResult:
        from airflow_provider_arm.submission.sending.lookup import document_finder, look_up

        return look_up([wire], "documentNo", document_finder(self.hook.client))
