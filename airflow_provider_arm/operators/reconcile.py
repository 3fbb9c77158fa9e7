"""Operator that compares an export with another export or with figures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_arm.argument_readers import Reader, choice, flag, mapping, may_be_empty, optional, text, texts
from airflow_provider_arm.argument_readers import path as path_reader
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX
from airflow_provider_arm.runtime.arguments import check_arguments, read_arguments
from airflow_provider_arm.runtime.export.manifest_args import (
    manifest_addresses,
    manifest_paths,
    open_path,
    read_exports,
    resolve_lazy_xcom,
)
from airflow_provider_arm.summary import FAILED, SKIPPED, SUCCESS, count_text, summary_line

if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_arm.reconcile.compare import Comparison, ComparisonOptions
    from airflow_provider_arm.reconcile.fields import SideQuery
    from airflow_provider_arm.reconcile.sums import ComparisonSide

log = logging.getLogger(__name__)

#: Values of ``on_difference``.
FAIL, WARN, SKIP = "fail", "warn", "skip"
NO_TOLERANCE = "0"
#: Values of ``period``.
PERIODS = ("month", "quarter", "year", "ledger", "none")
#: XCom with the result of a task that fails or is skipped.
XCOM = "reconciliation"
#: Suffixes of files with figures.
_FIGURE_SUFFIXES = (".csv", ".json")


def read_tolerance(_: str, value: Any) -> Any:
    """Return the argument *tolerance* after its check."""
    if value != NO_TOLERANCE:  # the default needs no import
        from airflow_provider_arm.reconcile.compare import parse_tolerance

        parse_tolerance(value)
    return value


def _read_against(name: str, value: Any) -> Any:
    """Return the argument *against* after its check: exports, figures, or the address of a file with figures."""
    if isinstance(value, Mapping) and "manifest_uri" not in value:
        if not value:
            raise ArmConfigurationError(f"{name} has no figures")
        return value
    if isinstance(value, str) and not value.endswith(MANIFEST_SUFFIX):
        if value.lower().endswith(_FIGURE_SUFFIXES):
            return value
        suffixes = " or ".join(_FIGURE_SUFFIXES)
        raise ArmConfigurationError(
            f"{name} must be an export's result, a manifest, figures, or the address of a {suffixes} file"
        )
    return read_exports(name, value)


def _read_periods(name: str, value: Any) -> list[str]:
    """Return the argument *periods* as a list."""
    periods = texts(name, [value] if isinstance(value, str) else value)
    if not periods:
        raise ArmConfigurationError(f"{name} must name at least one period, or be None for all")
    return periods


class LedgerReconcileOperator(BaseOperator):
    """Compare the sums of an export with another export or with figures, by period and currency.

    Each export is first verified against its manifest. Every period and currency of either side is compared; one that a
    side lacks is a difference, even if the other side's records sum to 0. Amounts are exact. The report (``<path>.md``
    and ``<path>.json``) is written before the task ends, with totals and counts and nothing of a single record. No call
    is made to ARM.

    :param export: result of an export operator, or path of its manifest (``....manifest.json``); or a list of either,
        such as the output of a mapped export, which together are one side. Templated.
    :param against: the same for the other side, or figures: ``{"2026-10": {"NOK": "124.37"}}``, or the path of a
        ``.csv`` or ``.json`` file with period, currency and amount. Templated.
    :param path: path of the report without suffix. Templated.
    :param field: amount to add up. Default ``"currencyAmount"``, the booked amount. A balance is what is open at the
        time of the export; GL items have none. Templated.
    :param against_field: the same for *against*. Default: *field*. Templated.
    :param period: ``"month"`` (default), ``"quarter"`` or ``"year"`` of *by*; ``"ledger"``, the period in which the
        item is booked (``glYear``, ``glPeriod``); or ``"none"``, everything together, named ``"all"`` in figures.
        Templated.
    :param by: date that decides the period. Default ``"voucherDate"``. Templated.
    :param against_by: the same for *against*. Default: *by*. Templated.
    :param periods: compare only these, such as ``["2026-10"]``; the report sums up the others. At least one side must
        have records in each of them. Default: all. Templated.
    :param where: only records with one of these values: ``{"voucherType": [3, 4]}``. Templated.
    :param against_where: the same for *against*, such as ``{"glAccountNo": "1500"}``, because a general ledger also has
        accounts that are not receivables. Templated.
    :param own_currency: currency of amounts without a currency field, such as ``glAmount``. Templated.
    :param tolerance: largest allowed difference of each line, as text, or by currency ``{"NOK": "0.50"}``; then others
        must be equal. Default ``"0"``. A line that one side lacks is always a difference. Templated.
    :param invert_against: negate the amounts of *against* before the comparison, if one ledger shows a debit as a
        negative amount and the other does not. Default ``False``. Templated.
    :param on_difference: ``"fail"`` (default), ``"warn"`` (the task succeeds, with a warning in the log) or ``"skip"``
        (the task is skipped, and with it the tasks after it). Templated.
    :param allow_empty: accept a period for which neither side has records. Default ``False``, because that proves
        nothing. Templated.
    :return: ``{"report_uri", "json_uri", "matches", "differences", "lines", "periods", "currencies", "summary"}``:
        ``matches`` true or false, ``differences`` and ``lines`` counts, ``summary`` Markdown with at most 20
        differences. If the task fails or is skipped, its XCom ``reconciliation`` contains the same.
    :raises ArmFailException: the sides differ, a file does not match its manifest, or an argument is invalid.
    :raises OSError: a file cannot be read or written; a retry may help.
    """

    template_fields: Sequence[str] = (
        "export",
        "against",
        "path",
        "field",
        "against_field",
        "period",
        "by",
        "against_by",
        "periods",
        "where",
        "against_where",
        "own_currency",
        "tolerance",
        "invert_against",
        "on_difference",
        "allow_empty",
    )
    ui_color = "#dcebf7"
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        "export": read_exports,
        "against": _read_against,
        "path": path_reader(),
        "field": text,
        "against_field": may_be_empty(text),
        "period": choice(*PERIODS),
        "by": text,
        "against_by": may_be_empty(text),
        "periods": optional(_read_periods),
        "where": optional(mapping),
        "against_where": optional(mapping),
        "own_currency": may_be_empty(text),
        "tolerance": read_tolerance,
        "invert_against": flag,
        "on_difference": choice(FAIL, WARN, SKIP),
        "allow_empty": flag,
    }
    #: Paths of what was compared, and of the report once it is written.
    compared: Sequence[str] = ()
    reports: Sequence[str] = ()

    def __init__(
        self,
        *,
        export: Any,
        against: Any,
        path: str,
        field: str = "currencyAmount",
        against_field: str | None = None,
        period: Literal["month", "quarter", "year", "ledger", "none"] = "month",
        by: str = "voucherDate",
        against_by: str | None = None,
        periods: Sequence[str] | str | None = None,
        where: Mapping[str, Any] | None = None,
        against_where: Mapping[str, Any] | None = None,
        own_currency: str | None = None,
        tolerance: str | int | Decimal | Mapping[str, Any] = NO_TOLERANCE,
        invert_against: bool | str = False,
        on_difference: Literal["fail", "warn", "skip"] = "fail",
        allow_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export = export
        self.against = against
        self.path = path
        self.field = field
        self.against_field = against_field
        self.period = period
        self.by = by
        self.against_by = against_by
        self.periods = periods
        self.where = where
        self.against_where = against_where
        self.own_currency = own_currency
        self.tolerance = tolerance
        self.invert_against = invert_against
        self.on_difference = on_difference
        self.allow_empty = allow_empty
        check_arguments(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare both sides, write the report, and apply *on_difference*."""
        with translate_arm_errors():
            read_arguments(self)
            comparison, query = self._compare()
            result = self._report(comparison, query)
            if not comparison.matches:
                log.warning("%s", result["summary"])
            message = self._summary(comparison, result)
            if comparison.matches or self.on_difference == WARN:
                log.info("%s", message)
                return result
            context["ti"].xcom_push(key=XCOM, value=result)
            if self.on_difference == SKIP:
                raise AirflowSkipException(message)
            from airflow_provider_arm.reconcile.errors import ArmLedgerDifferenceError

            raise ArmLedgerDifferenceError(message)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Return the compared files as inputs and the report as output; ``None`` if there is no report."""
        from airflow_provider_arm.runtime.export.openlineage import build_lineage, file_datasets

        if not self.reports:
            return None
        return build_lineage(lambda: (file_datasets(self.compared), file_datasets(self.reports)))

    def _compare(self) -> tuple[Comparison, SideQuery]:
        from airflow_provider_arm.reconcile.compare import compare
        from airflow_provider_arm.reconcile.sums import sum_exports

        query, against_query, options = self._parse_arguments()
        export, against = resolve_lazy_xcom(self.export), resolve_lazy_xcom(self.against)
        left = sum_exports(manifest_paths(export, "export"), query)
        right = _sum_against(against, against_query)
        figures = [against] if isinstance(against, str) and not against.endswith(MANIFEST_SUFFIX) else []
        self.compared = [*manifest_addresses(export), *manifest_addresses(against), *figures]
        return compare(left, right, options), query

    def _parse_arguments(self) -> tuple[SideQuery, SideQuery, ComparisonOptions]:
        """Parse the arguments before any file is read."""
        from airflow_provider_arm.reconcile.compare import ComparisonOptions, parse_tolerance
        from airflow_provider_arm.reconcile.fields import SideQuery, parse_currency, parse_where
        from airflow_provider_arm.reconcile.period import Period

        period = Period.parse(self.period)
        try:
            own = parse_currency(self.own_currency) if self.own_currency else None
        except ValueError as error:
            raise ArmConfigurationError(f"own_currency {error}") from None
        where, against_where = parse_where(self.where, "where"), parse_where(self.against_where, "against_where")
        query = SideQuery(self.field, period, self.by, where, own)
        other = SideQuery(self.against_field or self.field, period, self.against_by or self.by, against_where, own)
        options = ComparisonOptions(
            parse_tolerance(self.tolerance),
            bool(self.invert_against),
            None if self.periods is None else [period.check_label(label, "periods") for label in self.periods],
            bool(self.allow_empty),
        )
        return query, other, options

    def _summary(self, comparison: Comparison, result: Mapping[str, Any]) -> str:
        """Return the outcome in one line."""
        sides = f"{comparison.left.name} and {comparison.right.name}"
        lines = count_text(result["lines"], "line")
        if comparison.matches:
            return summary_line(f"{sides} agree in {lines}", SUCCESS, result["report_uri"])
        first = comparison.differences[0]
        place = " ".join(filter(None, (first.period, first.currency))) or "everything"
        outcome = {WARN: f'{SUCCESS} (on_difference="warn")', SKIP: SKIPPED}.get(self.on_difference, FAILED)
        subject = f"{sides} differ in {result['differences']} of {lines}"
        return summary_line(subject, outcome, f"first in {place} ({first.status})", f"see {result['report_uri']}")

    def _report(self, comparison: Comparison, query: SideQuery) -> dict[str, Any]:
        from airflow_provider_arm.files import atomic_write
        from airflow_provider_arm.reconcile import report

        now = datetime.now(tz=UTC)
        uris = {}
        # The Markdown file is written last: if it exists, so does the JSON file.
        for name, suffix, content in (
            ("json_uri", ".json", report.build_json(comparison, query, now)),
            ("report_uri", ".md", report.build_markdown(comparison, query, now).encode()),
        ):
            target = open_path(self.path + suffix)
            with atomic_write(target) as file:
                file.write(content)
            uris[name] = str(target)
        self.reports = tuple(uris.values())
        return {
            **uris,
            "matches": comparison.matches,
            "differences": len(comparison.differences),
            "lines": len(comparison.rows),
            "periods": sorted({row.period for row in comparison.rows}),
            "currencies": sorted({row.currency for row in comparison.rows} - {""}),
            "summary": report.build_summary(comparison),
        }


def _sum_against(against: Any, query: SideQuery) -> ComparisonSide:
    """Return the sums of *against*: exports or figures."""
    from airflow_provider_arm.reconcile.figures import read_figure_file, read_figures
    from airflow_provider_arm.reconcile.sums import sum_exports

    if isinstance(against, Mapping) and "manifest_uri" not in against:
        return read_figures(against, query.period)
    if isinstance(against, str) and not against.endswith(MANIFEST_SUFFIX):
        return read_figure_file(open_path(against), query.period)
    return sum_exports(manifest_paths(against, "against"), query)
