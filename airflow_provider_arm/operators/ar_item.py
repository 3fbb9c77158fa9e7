"""Operators for AR items: export the list, or change one item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import Reader, record
from airflow_provider_arm.runtime.arguments import check_arguments
from airflow_provider_arm.runtime.base_operator import unwrap
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

    The call can create a credit note, so it is only repeated if ARM has certainly not accepted the first one; see
    ``ArmWriteOperator``.

    :param changes: the item's ``arItemId`` and the fields to change, by ARM's names:
        a mapping, JSON text, or the path of a ``.json`` file. Templated; the rendered value is not shown. Amounts are
        ``Decimal`` or whole numbers: ARM does not document their fields, so text would be sent as text.
    :return: ``{"ar_item_id", "account_no", "status", "result", "warnings"}``; ``status`` and ``result`` as ARM returns
        them, ``warnings`` a list of ``{"field", "message"}`` with personal data masked.
    :raises ArmFailException: the changes are invalid (nothing was sent), ARM refused them, or the outcome is unknown.
    :raises ArmTransientException: ARM has certainly not accepted them; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "changes")
    personal_fields: ClassVar[Sequence[str]] = ("changes",)
    argument_readers: ClassVar[Mapping[str, Reader]] = {**ArmWriteOperator.argument_readers, "changes": record}

    def __init__(
        self,
        *,
        changes: Mapping[str, Any] | str | XComArg,
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(on_unknown_outcome=on_unknown_outcome, **kwargs)
        self.changes = changes
        check_arguments(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Update the item."""
        with self._open_journal(context) as journal:
            wire, result = self._write_record(
                context,
                journal,
                operation="update_ar_item",
                record=read_record(unwrap(self.changes), "changes"),
                key="arItemId",
                name="change of AR item",
            )
        return {"ar_item_id": wire["arItemId"], **result}
