"""AR items: exported complete and exact, or changed once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import airflow_errors
from airflow_provider_arm.operators.base import ArmBaseOperator, shown
from airflow_provider_arm.operators.customer import read_record
from airflow_provider_arm.operators.write import ArmWriteOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_arm.export import DateWindow

#: Records per page: ARM's largest, for the fewest round trips.
DEFAULT_PAGE_SIZE = 1000


class ArItemExportOperator(ArmBaseOperator):
    """Export AR items to a file with a manifest that proves it (``GET /clients/{clientno}/aritems``).

    Every page is fetched and checked: page numbers, counts, no item twice, amounts as exact numbers. File and
    manifest appear under their names only when the export is whole; otherwise the task fails and leaves what stood
    there before. ARM gives at most 10,000 items per query: *window* splits past that.

    :param path: where the file goes (local, ``s3://``, ``gs://``, ...); the manifest is ``<path>.manifest.json``.
        Templated.
    :param format: ``"jsonl"`` (each record as ARM wrote it) or ``"csv"``; default by the path's ending. Templated.
    :param filters: ARM's own filters, passed through. Templated.
    :param window: the days to export; split in halves where ARM would cut. Templated.
    :param columns: columns of a CSV by ARM's field names; default all that are known. Templated.
    :param page_size: records per page, 1 to 1000; default 1000.
    :return: ``{"uri", "manifest_uri", "rows", "pages", "totals", "sha256", "bytes"}``; ``totals`` by currency and
        field, as text such as ``{"NOK": {"currencyBalance": "124.37"}}``.
    :raises ArmFailException: bad arguments, a refusal, or more items than ARM gives.
    :raises ArmTransientException: ARM could not answer, or the list changed while it was read; a retry starts clean.
    """

    template_fields: Sequence[str] = (
        *ArmBaseOperator.template_fields,
        "path",
        "format",
        "filters",
        "window",
        "columns",
    )

    def __init__(
        self,
        *,
        path: str,
        format: str | None = None,  # noqa: A002 - the name that exports have everywhere
        filters: Mapping[str, Any] | None = None,
        window: DateWindow | None = None,
        columns: Sequence[str] | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.format = format
        self.filters = filters
        self.window = window
        self.columns = columns
        self.page_size = page_size

    def execute(self, context: Context) -> dict[str, Any]:
        """Export."""
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        from airflow_provider_arm.export.records import AR_ITEMS, columns_of
        from airflow_provider_arm.export.run import ExportPlan, manifest_path, run_export
        from airflow_provider_arm.export.writers import choose_format

        with airflow_errors():
            self._check()
            path = ObjectStoragePath(self.path)
            plan = ExportPlan(
                kind=AR_ITEMS,
                path=path,
                format=choose_format(self.path, self.format),
                columns=columns_of(AR_ITEMS, self.columns),
                filters=self.filters or {},
                window=self.window.days() if self.window else None,
            )
            client = self.hook.client
            manifest = run_export(
                plan,
                lambda filters: client.list_ar_items(filters, page_size=self.page_size),
                client.base_url,
                lambda: datetime.now(tz=UTC),
            )
        essence = {key: manifest[key] for key in ("rows", "pages", "totals", "sha256", "bytes")}
        return {"uri": str(path), "manifest_uri": str(manifest_path(path)), **essence}

    def _check(self) -> None:
        from airflow_provider_arm.client.paging import LARGEST_PAGE

        if not 1 <= self.page_size <= LARGEST_PAGE:
            msg = f"page_size must be from 1 to {LARGEST_PAGE}, not {self.page_size}"
            raise ArmConfigurationError(msg)
        if any(isinstance(value, float) for value in (self.filters or {}).values()):
            msg = "filters must hold text, whole numbers or dates, no floats"
            raise ArmConfigurationError(msg)
        for name in ("pageno", "query", "maximumcount", "pagesize"):
            if name in (self.filters or {}):
                msg = f"filters must not hold {name}: the export decides how it pages"
                raise ArmConfigurationError(msg)


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

    def __init__(self, *, changes: Mapping[str, Any] | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.changes = changes

    def execute(self, context: Context) -> dict[str, Any]:
        """Change the item."""
        with self._journalled(context) as journal:
            record = read_record(shown(self.changes), "changes")
            wire, answer = self._write_record(
                context, journal, operation="update_ar_item", record=record, key="arItemId", what="change of AR item"
            )
        return {"ar_item_id": wire["arItemId"], **answer}
