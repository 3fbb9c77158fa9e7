"""Operator that merges the exports of a mapped task into one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_arm.argument_readers import Reader
from airflow_provider_arm.argument_readers import path as path_reader
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.export.fetch.date_window import DateWindow
from airflow_provider_arm.export.fetch.plan_windows import parse_window, read_window
from airflow_provider_arm.runtime.arguments import check_arguments, is_rendered_later, read_arguments
from airflow_provider_arm.runtime.export.asset_events import emit_asset_events
from airflow_provider_arm.runtime.export.manifest_args import manifest_paths, open_path, read_exports, resolve_lazy_xcom
from airflow_provider_arm.summary import export_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import jinja2
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_arm.export.fetch.date_window import RunWindow

log = logging.getLogger(__name__)


class ExportMergeOperator(BaseOperator):
    """Merge the manifests of exports with adjacent windows into one; the files stay where they are.

    Every file is verified against its manifest. The parts must be of the same list with the same arguments, cover
    their days without a gap or overlap, and contain no record twice. Then ``<path>.manifest.json`` is written:
    ``check_export`` and ``LedgerReconcileOperator`` accept it like that of any export. No call is made to ARM.

    :param exports: results of a mapped export operator (``export.output``), or paths of manifests
        (``....manifest.json``). Templated.
    :param path: name of the merged export; only its manifest is written. It names parts in the same folder, or below,
        by relative paths, so that the folder can be moved. Templated.
    :param window: the days that the parts must cover, a ``DateWindow``, ``DateWindow.before_run(...)`` or a
        mapping. Default: the days that they cover, so that a missing first or last part is not detected. Templated.
    :return: ``{"manifest_uri", "parts", "rows", "pages", "totals", "dates", "bytes"}``; ``parts`` is their number.
    :raises ArmFailException: the parts do not add up, or an argument is invalid; the message names the part.
    :raises OSError: a file cannot be read or written; a retry may help.
    """

    template_fields: Sequence[str] = ("exports", "path", "window")
    ui_color = "#dcebf7"
    argument_readers: ClassVar[Mapping[str, Reader]] = {"exports": read_exports, "path": path_reader()}
    #: The merged manifest, once it is written, and the paths of the manifests of its parts.
    manifest: dict[str, Any] | None = None
    parts: Sequence[str] = ()

    def __init__(
        self,
        *,
        exports: Any,
        path: str,
        window: DateWindow | RunWindow | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.exports = exports
        self.path = path
        self.window = window if is_rendered_later(window) else read_window(window)
        check_arguments(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Merge the manifests."""
        from airflow_provider_arm.export.manifest.merge import merge_exports
        from airflow_provider_arm.export.manifest.paths import manifest_path

        with translate_arm_errors():
            read_arguments(self)
            window, path = parse_window(self.window, context), open_path(self.path)
            parts = manifest_paths(resolve_lazy_xcom(self.exports), "exports")
            manifest = merge_exports(parts, path, window)
        figures = {name: manifest[name] for name in ("rows", "pages", "totals", "dates", "bytes")}
        result = {"manifest_uri": str(manifest_path(path)), "parts": len(manifest["parts"]), **figures}
        self.manifest, self.parts = manifest, [str(part) for part in parts]
        emit_asset_events(context, self.outlets, result)
        log.info("%s", export_line("row", result, result["parts"], result["manifest_uri"]))
        return result

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as usual, and the bounds of a window with the times of the run in its time zone."""
        if isinstance(parent, DateWindow):
            context = cast("Context", parent.localize(context))
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Return the parts as inputs and *path* as the output; ``None`` if the merge failed."""
        from airflow_provider_arm.runtime.export.openlineage import build_lineage, file_dataset, file_datasets

        manifest = self.manifest
        if manifest is None:
            return None
        return build_lineage(lambda: (file_datasets(self.parts), [file_dataset(self.path, manifest)]))
