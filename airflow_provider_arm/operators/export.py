"""Export operators of all lists except AR items: customers, documents, GL items, log items, and any other list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import Reader, may_be_empty, text, texts
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.runtime.arguments import check_arguments
from airflow_provider_arm.runtime.export.export_operator import ArmExportOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.export.pages.record_types import RecordType


class CustomerExportOperator(ArmExportOperator):
    """Export customers (``GET /clients/{clientno}/customers``).

    The file contains personal data: ``mask=["ssn", "dateOfBirth"]`` keeps fields out of it. Arguments, result and
    errors are those of ``ArmExportOperator``.
    """

    list_operation: ClassVar[str] = "list_customers"


class DocumentExportOperator(ArmExportOperator):
    """Export documents (``GET /clients/{clientno}/documents``: documented by title, the path is assumed).

    Arguments, result and errors are those of ``ArmExportOperator``; ``window=DateWindow(..., by="documentdate")``.
    """

    list_operation: ClassVar[str] = "list_documents"


class GlItemExportOperator(ArmExportOperator):
    """Export GL items (``GET /clients/{clientno}/glitems``; the names of their fields are assumed).

    Arguments, result and errors are those of ``ArmExportOperator``.
    """

    list_operation: ClassVar[str] = "list_gl_items"
    has_profile_fields: ClassVar[bool] = True


class LogItemExportOperator(ArmExportOperator):
    """Export log items (``GET /clients/{clientno}/logitems``: documented by title; path and fields are assumed).

    Arguments, result and errors are those of ``ArmExportOperator``.
    """

    list_operation: ClassVar[str] = "list_log_items"


class ListExportOperator(ArmExportOperator):
    """Export a list that has no operator of its own and is paged like ARM's other lists.

    Its fields are not known. In CSV and Parquet, *columns* is required and every column is text. Arguments, result and
    errors are otherwise those of ``ArmExportOperator``.

    :param resource: a list that ARM's reference names by title: ``"log_items"``, ``"document_bundles"``,
        ``"client_configs"``, ``"codes"``, ``"gl_movements"``, ``"adb_intervals"`` or ``"files"`` (their paths
        are entries of the readings profile). Or the path of any list under the base URL, such as
        ``"/clients/{clientno}/codes"``; ``{clientno}`` is replaced by the client number. Templated.
    :param item_key: field that is unique to each record. Without it duplicate records are not detected, and only
        ARM's count proves that the export is complete. Templated.
    :param amounts: fields to add up; they must be numbers. Templated.
    :param currency_field: field with the currency of the amounts; without it they are added up regardless of currency.
        Templated.
    """

    template_fields: Sequence[str] = (
        *ArmExportOperator.template_fields,
        "resource",
        "item_key",
        "amounts",
        "currency_field",
    )
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmExportOperator.argument_readers,
        "resource": text,
        "item_key": may_be_empty(text),
        "amounts": texts,
        "currency_field": may_be_empty(text),
    }

    def __init__(
        self,
        *,
        resource: str,
        item_key: str | None = None,
        amounts: Sequence[str] = (),
        currency_field: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.item_key = item_key
        self.amounts: Any = amounts
        self.currency_field = currency_field
        check_arguments(self)

    def _operation(self) -> Operation:
        from airflow_provider_arm.client.endpoints import ad_hoc_operation
        from airflow_provider_arm.client.operations import operations_of

        if self.resource.startswith("/"):
            return ad_hoc_operation("GET", self.resource, None)
        table = operations_of(self.hook.settings.readings)
        lists = [name for name, row in table.items() if name.startswith("list_") and not row.documented]
        if f"list_{self.resource}" not in lists:
            names = ", ".join(name.removeprefix("list_") for name in lists)
            raise ArmConfigurationError(f"resource must be one of {names}, or a path that starts with /")
        return table[f"list_{self.resource}"]

    def _record_type(self) -> RecordType:
        from airflow_provider_arm.export.pages.record_types import RecordType

        amounts, gl_amounts = (tuple(self.amounts), ()) if self.currency_field else ((), tuple(self.amounts))
        return RecordType(
            f"records of {self.resource}",
            key=self.item_key or self._operation().item_key,
            currency=self.currency_field,
            amounts=amounts,
            gl_amounts=gl_amounts,
        )
