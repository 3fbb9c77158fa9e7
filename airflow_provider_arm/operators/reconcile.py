"""Operator that holds an export against the general ledger, or against figures that somebody gives."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX
from airflow_provider_arm.runtime.arguments import check_choice
from airflow_provider_arm.runtime.base_operator import read_bool
from airflow_provider_arm.runtime.export.manifest_args import (
    manifest_addresses,
    manifest_paths,
    open_path,
    resolve_lazy_xcom,
)

if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_arm.reconcile.compare import Comparison, ComparisonOptions
    from airflow_provider_arm.reconcile.fields import SideQuery
    from airflow_provider_arm.reconcile.period import Period
    from airflow_provider_arm.reconcile.sums import ComparisonSide

log = logging.getLogger(__name__)

#: What ``on_difference`` may be.
FAIL, WARN, SKIP = "fail", "warn", "skip"
#: XCom that has the result also where the task fails or is skipped, for a task that asks a person.
XCOM = "reconciliation"
#: What the text of ``against`` may end in beside a manifest's ending.
_FIGURES = (".csv", ".json")


class LedgerReconcileOperator(BaseOperator):
    """Compare what an export adds up to with another export or with given figures, by period and currency.

    Both exports are read from their files, each is held against its manifest first, and every period and currency that
    either side has is compared: what one side lacks is a difference, also where the other side's records come to 0.
    Amounts are exact. The report (``<path>.md`` and ``<path>.json``) is written whole before the task ends in any
    way; it has totals and counts, and nothing of any one record. No call is made to ARM.

    :param export: what an export operator returned, or its manifest's address (``....manifest.json``); also a list of
        either, as a mapped export gives it, which together are one side. Templated.
    :param against: the same for the other side, or figures: ``{"2026-10": {"NOK": "124.37"}}``, or the address of a
        ``.csv`` or ``.json`` file that has period, currency and amount. Templated.
    :param path: where the report goes, without an ending. Templated.
    :param field: the amount that is added up; default ``"currencyAmount"``, what was booked. A balance is what is open
        at the moment of the export, which no GL item has. Templated.
    :param against_field: the other export's; default *field*. Templated.
    :param period: ``"month"`` (default), ``"quarter"`` or ``"year"`` of *by*; ``"ledger"``, the period that the item
        is booked in (``glYear``, ``glPeriod``); or ``"none"``, everything together, whose name in figures is ``"all"``.
        Templated.
    :param by: the day that decides the period; default ``"voucherDate"``. Templated.
    :param against_by: the other export's; default *by*. Templated.
    :param periods: compare only these, such as ``["2026-10"]``; what lies outside is summed up in the report. Each of
        them must have something on some side. Default all. Templated.
    :param where: only records that have one of these values: ``{"voucherType": [3, 4]}``. Templated.
    :param against_where: the same for the other export, such as ``{"glAccountNo": "1500"}``: a general ledger has
        accounts that are no receivables. Templated.
    :param own_currency: the currency of amounts such as ``glAmount``, which no field names. Templated.
    :param tolerance: how far the sides may be apart in each line, as text, or by currency ``{"NOK": "0.50"}``, where
        the others have none; default ``"0"``. What is missing on a side is never within it. Templated.
    :param invert_against: negate the amounts of *against* before they are compared: one ledger shows a debit with a
        minus, the other one without. Default ``False``. Templated.
    :param on_difference: ``"fail"`` (default), ``"warn"`` (the task succeeds, and says so in log and result) or
        ``"skip"`` (the task is skipped, and with it what comes after). Templated.
    :param allow_empty: let a period pass in which neither side has anything; default ``False``, because that proves
        nothing. Templated.
    :return: ``{"report_uri", "json_uri", "matches", "differences", "lines", "periods", "currencies", "summary"}``:
        ``matches`` true or false, ``differences`` and ``lines`` counts, ``summary`` Markdown of at most 20 differences.
        Where the task fails or is skipped, the same is in its XCom ``reconciliation``.
    :raises ArmFailException: the sides differ, a file does not agree with its manifest, or bad arguments.
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
    #: The addresses of what was compared, and, once it is written, of the report.
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
        tolerance: str | int | Decimal | Mapping[str, Any] = "0",
        invert_against: bool | str = False,
        on_difference: Literal["fail", "warn", "skip"] = "fail",
        allow_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("period", period, ("month", "quarter", "year", "ledger", "none"))
        check_choice("on_difference", on_difference, (FAIL, WARN, SKIP))
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

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare."""
        with translate_arm_errors():
            comparison, query = self._compare()
            result = self._report(comparison, query)
            if comparison.matches:
                log.info("%s", result["summary"])
                return result
            log.warning("%s", result["summary"])
            if self.on_difference == WARN:
                return result
            context["ti"].xcom_push(key=XCOM, value=result)
            message = _message(comparison, result)
            if self.on_difference == SKIP:
                raise AirflowSkipException(message)
            from airflow_provider_arm.reconcile.errors import ArmLedgerDifferenceError

            raise ArmLedgerDifferenceError(message)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Tell OpenLineage which files were compared and where the report is; ``None`` where there is no report."""
        from airflow_provider_arm.runtime.export.openlineage import build_lineage, file_datasets

        if not self.reports:
            return None
        return build_lineage(lambda: (file_datasets(self.compared), file_datasets(self.reports)))

    def _compare(self) -> tuple[Comparison, SideQuery]:
        from airflow_provider_arm.reconcile.compare import compare
        from airflow_provider_arm.reconcile.sums import sum_exports

        query, other, options = self._read()
        export, against = resolve_lazy_xcom(self.export), resolve_lazy_xcom(self.against)
        left = sum_exports(manifest_paths(export, "export"), query)
        right = _other_side(against, other)
        figures = [against] if isinstance(against, str) and not against.endswith(MANIFEST_SUFFIX) else []
        self.compared = [*manifest_addresses(export), *manifest_addresses(against), *figures]
        return compare(left, right, options), query

    def _read(self) -> tuple[SideQuery, SideQuery, ComparisonOptions]:
        """Read the arguments, all before the first file."""
        from airflow_provider_arm.reconcile.compare import ComparisonOptions, parse_tolerance
        from airflow_provider_arm.reconcile.fields import SideQuery, parse_currency, parse_where
        from airflow_provider_arm.reconcile.period import Period

        _one_of("on_difference", self.on_difference, (FAIL, WARN, SKIP))
        period = Period.parse(self.period)
        own = self.own_currency or None
        try:
            own = own and parse_currency(own)
        except ValueError as error:
            msg = f"own_currency {error}"
            raise ArmConfigurationError(msg) from None
        query = SideQuery(self.field, period, self.by, parse_where(self.where, "where"), own)
        other = SideQuery(
            self.against_field or self.field,
            period,
            self.against_by or self.by,
            parse_where(self.against_where, "against_where"),
            own,
        )
        return (
            query,
            other,
            ComparisonOptions(
                parse_tolerance(self.tolerance),
                read_bool("invert_against", self.invert_against),
                _periods(self.periods, period),
                read_bool("allow_empty", self.allow_empty),
            ),
        )

    def _report(self, comparison: Comparison, query: SideQuery) -> dict[str, Any]:
        from airflow_provider_arm.files import atomic_write
        from airflow_provider_arm.reconcile import report

        now = datetime.now(tz=UTC)
        uris = {}
        # The one for people comes last: where it is new, so is the other.
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


def _message(comparison: Comparison, result: Mapping[str, Any]) -> str:
    first = comparison.differences[0]
    place = " ".join(filter(None, (first.period, first.currency))) or "everything"
    return (
        f"{comparison.left.name} and {comparison.right.name} differ in "
        f"{result['differences']} of {result['lines']} lines, "
        f"first in {place} ({first.status}): see {result['report_uri']}"
    )


def _other_side(against: Any, query: SideQuery) -> ComparisonSide:
    """Read the other side, whichever of its forms it has."""
    from airflow_provider_arm.reconcile.figures import read_figure_file, read_figures
    from airflow_provider_arm.reconcile.sums import sum_exports

    if isinstance(against, Mapping) and "manifest_uri" not in against:
        return read_figures(against, query.period)
    if isinstance(against, str) and not against.endswith(MANIFEST_SUFFIX):
        if against.lower().endswith(_FIGURES):
            return read_figure_file(open_path(against), query.period)
        msg = (
            f"against must be an export's result, a manifest, figures, or the address of a {' or '.join(_FIGURES)} file"
        )
        raise ArmConfigurationError(msg)
    return sum_exports(manifest_paths(against, "against"), query)


def _periods(given: Any, period: Period) -> list[str] | None:
    if given is None:
        return None
    several = [given] if isinstance(given, str) else list(given)
    if not several:
        msg = "periods must name at least one, or be None for all"
        raise ArmConfigurationError(msg)
    return [period.check_label(one, "periods") for one in several]


def _one_of(name: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        msg = f"{name} must be one of {', '.join(allowed)}, not {value!r}"
        raise ArmConfigurationError(msg)
