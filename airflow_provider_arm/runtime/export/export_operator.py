"""What the export operators share: the arguments, their checks, and the run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.runtime.base_operator import ArmBaseOperator, read_bool
from airflow_provider_arm.runtime.export.asset_events import emit_asset_events
from airflow_provider_arm.runtime.export.watermark_args import (
    DEFAULT_OVERLAP,
    build_increment_options,
    check_incremental_args,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_arm.client import ArmClient
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.export import DateWindow
    from airflow_provider_arm.export.pages.record_types import RecordType
    from airflow_provider_arm.export.plan import ExportPlan

#: Records per page: ARM's largest, for the fewest round trips.
DEFAULT_PAGE_SIZE = 1000
#: Pages fetched at the same time: at 50 ms per answer eight keep one core busy.
DEFAULT_WORKERS = 8
#: Query parameters that say how a list is paged: the export's own business.
_PAGING = ("pageno", "query", "maximumcount", "pagesize")


class ArmExportOperator(ArmBaseOperator):
    """Base of the operators that export a list to a file with a manifest that proves it.

    Pages are fetched at the same time and written in order. Every page is checked: page numbers, counts, no record
    twice, amounts as exact numbers. File and manifest appear under their names only when the export is whole; else
    the task fails and what stood there before stands there still. ARM gives at most 10,000 records per query:
    *window* splits past that.

    :param path: where the file goes (local, ``s3://``, ``gs://``, ...); the manifest is ``<path>.manifest.json``.
        ``.gz`` or ``.zst`` after the format's ending compresses (``items.jsonl.gz``; in Parquet before it:
        ``items.zst.parquet``). Templated.
    :param format: ``"jsonl"`` (each record as ARM wrote it), ``"csv"`` or ``"parquet"`` (extra ``parquet``); default
        by the path's ending. Templated.
    :param filters: ARM's own filters, passed through. Templated.
    :param window: the days to export, a ``DateWindow`` or one of ``plan_windows(...)``; split in halves where ARM would
        cut. Templated.
    :param split_by: filters and values to split by where a single day is too much, such as
        ``{"customerno": ["1001", "1002"]}``. The values must be all that there are: ARM cannot say. Templated.
    :param columns: fields by ARM's names, in order; default all that are known, in JSON lines all that ARM gives.
        Templated.
    :param mask: fields whose value never reaches the file; they are null there. Templated.
    :param page_size: records per page, 1 to 1000; default 1000.
    :param workers: pages fetched at the same time, 1 to 32; default 8.
    :param validate_all_fields: check the type of every known field of JSON lines, too; default ``False``. Key, amounts
        and dates are always checked, and of Parquet every column.
    :param verify_pages: read every page a second time and compare, default ``False``. ARM keeps a query as it was when it
        was asked, as documented; where a list turns out to change while it is read, this is done from there on.
    :param incremental: export only records that are new or changed since the task's last completed run, by their
        created time; not together with *window*. Give each run its own *path*. Default ``False``: everything.
        Templated.
    :param overlap: seconds (or a ``timedelta``) after its created time in which a record may still become visible or
        change and be found; default 3600.
    :param watermark_path: a file for the watermark, on a disk or in an object store that all workers share; default:
        the state of the task's first asset outlet (Airflow 3.3). Templated.
    :return: ``{"uri", "manifest_uri", "rows", "pages", "totals", "dates", "sha256", "bytes"}``; ``totals`` by currency
        and field, as text such as ``{"NOK": {"currencyBalance": "124.37"}}``. With *incremental* also ``increment``:
        ``{"from", "to", "skipped", "number"}``, moments as text or ``None``.
    :raises ArmFailException: bad arguments, a refusal, more records than ARM gives, a watermark that is broken or
        another list's, or a path whose rows would be lost.
    :raises ArmTransientException: ARM or the watermark could not be reached, another run moved the watermark, or the
        list changed while it was read, twice; a retry starts clean.
    """

    template_fields: Sequence[str] = (
        *ArmBaseOperator.template_fields,
        "path",
        "format",
        "filters",
        "window",
        "split_by",
        "columns",
        "mask",
        "incremental",
        "watermark_path",
    )
    #: The manifest, once the export is whole.
    manifest: dict[str, Any] | None = None
    #: The list's row in the operations table.
    list_operation: ClassVar[str] = ""

    def __init__(
        self,
        *,
        path: str,
        format: str | None = None,  # noqa: A002 - the name that exports have everywhere
        filters: Mapping[str, Any] | None = None,
        window: DateWindow | Mapping[str, Any] | None = None,
        split_by: Mapping[str, Sequence[Any]] | None = None,
        columns: Sequence[str] | None = None,
        mask: Sequence[str] = (),
        page_size: int = DEFAULT_PAGE_SIZE,
        workers: int = DEFAULT_WORKERS,
        validate_all_fields: bool = False,
        verify_pages: bool = False,
        incremental: bool | str = False,
        overlap: timedelta | float = DEFAULT_OVERLAP,
        watermark_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.format = format
        self.filters = filters
        self.window = window
        self.split_by = split_by
        self.columns = columns
        self.mask = mask
        self.page_size = page_size
        self.workers = workers
        self.validate_all_fields = validate_all_fields
        self.verify_pages = verify_pages
        self.incremental = incremental
        self.overlap = overlap
        self.watermark_path = watermark_path

    def execute(self, context: Context) -> dict[str, Any]:
        """Export."""
        from airflow_provider_arm.export.manifest.paths import manifest_path
        from airflow_provider_arm.hooks.metrics import count_rows

        with translate_arm_errors():
            self._check()
            plan = self._plan()
            with self.hook.client as client:
                manifest = self._export(client, plan, context)
            listed = self._list()
            count_rows(manifest["rows"], listed if isinstance(listed, str) else listed.name)
        told = (
            "rows",
            "pages",
            "totals",
            "dates",
            "sha256",
            "bytes",
            *(("increment",) if "increment" in manifest else ()),
        )
        essence = {key: manifest[key] for key in told}
        result = {"uri": str(plan.path), "manifest_uri": str(manifest_path(plan.path)), **essence}
        self.manifest = manifest
        emit_asset_events(context, self.outlets, result)
        return result

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Tell OpenLineage which list became which file; ``None`` where the export is not whole."""
        from airflow_provider_arm.runtime.export.openlineage import build_lineage, file_dataset, list_dataset

        manifest = self.manifest
        if manifest is None:
            return None
        return build_lineage(lambda: ([list_dataset(manifest)], [file_dataset(self.path, manifest)]))

    def _export(self, client: ArmClient, plan: ExportPlan, context: Context) -> dict[str, Any]:
        """Export everything, or what is new; gives the manifest."""
        source = client.page_source(self._list(), page_size=self.page_size)
        if not read_bool("incremental", self.incremental):
            from airflow_provider_arm.export.run import run_export

            return run_export(plan, source, _now)
        from airflow_provider_arm.export.incremental.run import check_incremental_plan, export_increment

        check_incremental_plan(plan)
        options = build_increment_options(context, self.outlets, self.overlap, self.watermark_path, client.client_no)
        return export_increment(plan, source, _now, options)

    def _kind(self) -> RecordType:
        """Return the type of the list's records."""
        from airflow_provider_arm.export.pages.record_types import RECORD_TYPES

        return RECORD_TYPES[self.list_operation]

    def _list(self) -> Operation | str:
        """Say which list it is."""
        return self.list_operation

    def _plan(self) -> ExportPlan:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        from airflow_provider_arm.export.fetch.partition import read_split_by
        from airflow_provider_arm.export.fetch.plan_windows import read_window
        from airflow_provider_arm.export.files.file_format import choose_shape
        from airflow_provider_arm.export.pages.record_types import select
        from airflow_provider_arm.export.plan import ExportPlan

        kind = self._kind()
        return ExportPlan(
            kind=kind,
            path=ObjectStoragePath(self.path),
            shape=choose_shape(self.path, self.format),
            selection=select(kind, self.columns, self.mask),
            filters=self.filters or {},
            window=read_window(self.window),
            split_by=read_split_by(self.split_by),
            workers=self.workers,
            validate_all_fields=self.validate_all_fields,
            verify_pages=self.verify_pages,
        )

    def _check(self) -> None:
        from airflow_provider_arm.client.paging import MAX_PAGE_SIZE

        check_incremental_args(
            incremental=read_bool("incremental", self.incremental),
            overlap=self.overlap,
            watermark_path=self.watermark_path,
        )
        if not 1 <= self.page_size <= MAX_PAGE_SIZE:
            msg = f"page_size must be from 1 to {MAX_PAGE_SIZE}, not {self.page_size}"
            raise ArmConfigurationError(msg)
        if any(isinstance(value, float) for value in (self.filters or {}).values()):
            msg = "filters must hold text, whole numbers or dates, no floats"
            raise ArmConfigurationError(msg)
        for name in _PAGING:
            if name in (self.filters or {}) or name in (self.split_by or {}):
                msg = f"filters must not hold {name}: the export decides how it pages"
                raise ArmConfigurationError(msg)
        for name in ("columns", "mask"):
            if isinstance(getattr(self, name), str):
                msg = f"{name} must be a list of field names, not text"
                raise ArmConfigurationError(msg)


def _now() -> datetime:
    return datetime.now(tz=UTC)
