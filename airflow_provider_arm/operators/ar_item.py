"""AR items: exported complete and exact, or changed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.runtime.base_operator import revealed
from airflow_provider_arm.runtime.export.export_operator import ArmExportOperator
from airflow_provider_arm.runtime.records import read_record
from airflow_provider_arm.runtime.write_operator import ArmWriteOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg


class ArItemExportOperator(ArmExportOperator):
    """Export AR items (``GET /clients/{clientno}/aritems``).

    Arguments, result and errors are those of ``ArmExportOperator``: *path*, *format*, *filters*, *window*, ...
    """

    list_operation: ClassVar[str] = "list_ar_items"


class ArItemUpdateOperator(ArmWriteOperator):
    """Change details of one AR item, or credit it (``PUT /clients/{clientno}/aritems``).

    The call can create a credit note, and a second call a second one, so none is sent unless ARM certainly did not
    take the first; see ``ArmWriteOperator``.

    :param changes: the item's ``arItemId`` (its place in the body is assumed) and what is to change, by ARM's field
        names, as a mapping, as JSON text, or as the address of a ``.json`` file. Templated; its rendered value is not
        shown. Amounts are ``Decimal`` or whole numbers: their keys are not published, so text would be sent as text.
    :return: ``{"ar_item_id", "account_no", "status", "result", "warnings"}``; ``status`` and ``result`` are ARM's
        words, ``warnings`` a list of ``{"field", "message"}`` with personal data masked.
    :raises ArmFailException: the changes do not fit (nothing was sent), ARM refused them, or nobody knows whether ARM
        took them.
    :raises ArmTransientException: ARM certainly did not take them; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "changes")
    personal_fields: ClassVar[Sequence[str]] = ("changes",)

    def __init__(
        self,
        *,
        changes: Mapping[str, Any] | str | XComArg,
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(on_unknown_outcome=on_unknown_outcome, **kwargs)
        self.changes = changes

    def execute(self, context: Context) -> dict[str, Any]:
        """Change the item."""
        with self._journalled(context) as journal:
            record = read_record(revealed(self.changes), "changes")
            wire, answer = self._write_record(
                context, journal, operation="update_ar_item", record=record, key="arItemId", what="change of AR item"
            )
        return {"ar_item_id": wire["arItemId"], **answer}
