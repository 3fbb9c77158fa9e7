"""Operator for one document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.runtime.base_operator import as_seconds, revealed
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

    ARM processes it at once. What becomes of a second document with the same ``documentNo`` is not documented, so it
    is never sent again unless ARM certainly did not take it; see ``ArmWriteOperator``. Where nobody knows, it is looked
    for (``GET /clients/{clientno}/documents/{documentno}``): if it stands there as it was sent, ARM took it.

    :param document: the document by ARM's field names (``documentNo``, ``customerNo``, ...), as a mapping, as JSON
        text, or as the address of a ``.json`` file that holds one. Templated; its rendered value is not shown. Amounts
        are ``Decimal``, whole numbers or text, never floats.
    :param assume_absent_after: seconds (or ``timedelta``) after which a document that ARM does not have counts as not
        taken, and is sent. Counted from the first try that looks for it and does not find it; a later try decides.
        Default ``None``: its absence proves nothing.
    :return: ``{"document_no", "customer_no", "account_no", "status", "result", "warnings"}``; ``status`` and
        ``result`` are ARM's words, ``warnings`` a list of ``{"field", "message"}`` with personal data masked.
    :raises ArmFailException: the document does not fit (nothing was sent), ARM refused it, or nobody knows whether
        ARM took it.
    :raises ArmTransientException: ARM certainly did not take it; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "document")
    personal_fields: ClassVar[Sequence[str]] = ("document",)

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
        self.assume_absent_after = as_seconds(assume_absent_after)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the document."""
        with self._journalled(context) as journal:
            record = read_record(revealed(self.document), "document")
            wire, answer = self._write_record(
                context,
                journal,
                operation="create_document",
                record=record,
                key="documentNo",
                what="document",
                look_up=self._look_up,
                assume_absent_after=self.assume_absent_after,
            )
        return {"document_no": wire["documentNo"], "customer_no": wire["customerNo"], **answer}

    def _look_up(self, wire: Mapping[str, Any]) -> LookupResult:
        from airflow_provider_arm.submission.sending.lookup import document_finder, look_up

        return look_up([wire], "documentNo", document_finder(self.hook.client))
