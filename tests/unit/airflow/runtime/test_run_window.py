"""Windows of runs under Airflow's own timetables, in whole DAG runs and over both changes of the clock."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG, Asset
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.export.fetch.run_time import RunTime, find_time_zone
from airflow_provider_arm.operators.ar_item import ArItemExportOperator

if TYPE_CHECKING:
    from collections.abc import Callable

ZONES = [
    "UTC",
    "Europe/Oslo",
    "America/New_York",
    "America/Sao_Paulo",  # until 2019 the clock changed at midnight
    "America/Havana",
    "Asia/Kolkata",
    "Pacific/Auckland",
]
TIMETABLES: dict[str, Callable[..., Any]] = {
    "trigger": CronTriggerTimetable,
    "trigger with interval": lambda cron, timezone: CronTriggerTimetable(
        cron, timezone=timezone, interval=dt.timedelta(days=1)
    ),
    "data interval": CronDataIntervalTimetable,
}
#: First runs such that both changes of the clock, month ends and leap days are among the runs that follow.
STARTS = st.sampled_from(
    [dt.date(2018, 10, 25), dt.date(2018, 2, 10), dt.date(2024, 2, 20), dt.date(2026, 3, 1), dt.date(2026, 10, 15)]
) | st.dates(dt.date(2017, 1, 1), dt.date(2027, 1, 1))
RUNS = 45


def runs_of(timetable, start, count=RUNS):
    """Yield the contexts of consecutive scheduled runs."""
    restriction = TimeRestriction(pendulum.instance(start), None, catchup=True)
    last = None
    for _ in range(count):
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        last = info.data_interval
        yield {
            "dag": SimpleNamespace(timetable=timetable, timezone=pendulum.timezone("UTC")),
            "logical_date": info.logical_date,
            "data_interval_start": last.start,
            "data_interval_end": last.end,
            "dag_run": SimpleNamespace(run_after=info.run_after),
        }


@pytest.mark.parametrize("name", TIMETABLES)
@given(
    zone=st.sampled_from(ZONES),
    start=STARTS,
    cron=st.sampled_from(["0 0 * * *", "30 6 * * *", "30 2 * * *", "0 1 * * *"]),
)
@settings(max_examples=20, deadline=None)
def test_consecutive_runs_of_a_daily_schedule_cover_every_day_once(name, zone, start, cron):
    """No day is missing and none is exported twice, and each one has ended."""
    timetable = TIMETABLES[name](cron, timezone=zone)
    before = None
    for context in runs_of(timetable, dt.datetime.combine(start, dt.time(), zoneinfo.ZoneInfo(zone))):
        window = DateWindow.before_run(days=1).resolve(context).date_range()
        assert window.first == window.last
        assert before is None or window.first == before + dt.timedelta(days=1)
        before = window.last
        next_midnight = dt.datetime.combine(before + dt.timedelta(days=1), dt.time(), zoneinfo.ZoneInfo(zone))
        assert next_midnight.timestamp() <= context["dag_run"].run_after.timestamp()


@pytest.mark.parametrize("name", TIMETABLES)
@pytest.mark.parametrize("zone", ZONES)
def test_consecutive_runs_of_a_monthly_schedule_cover_every_day_once(name, zone):
    """Each run exports one calendar month."""
    start = dt.datetime(2023, 1, 1, tzinfo=zoneinfo.ZoneInfo(zone))
    before = None
    for context in runs_of(TIMETABLES[name]("0 0 1 * *", timezone=zone), start, 26):
        window = DateWindow.before_run(months=1).date_range(RunTime.from_context(context))
        assert window.first.day == 1
        assert before is None or window.first == before + dt.timedelta(days=1)
        before = window.last


@pytest.mark.parametrize(
    ("context", "end"),
    [
        ({"data_interval_end": 5, "logical_date": 4}, 5),
        ({"data_interval_end": None, "logical_date": 4}, 4),
        ({"logical_date": None, "dag_run": SimpleNamespace(logical_date=None, run_after=6)}, 6),
        ({"dag_run": SimpleNamespace(logical_date=3, data_interval_end=4, run_after=6)}, 4),
        ({"partition_date": 2, "dag_run": SimpleNamespace(run_after=6)}, 2),
        ({"ds": "2026-01-05"}, None),
    ],
)
def test_run_counts_from_data_interval_logical_date_or_time_due(context, end):
    """A run of an asset, and a manual one without a date, have only the time at which they were due."""

    def as_moment(value):
        if isinstance(value, SimpleNamespace):
            return SimpleNamespace(**{name: as_moment(moment) for name, moment in vars(value).items()})
        return pendulum.datetime(2026, 1, value) if isinstance(value, int) else value

    found = RunTime.from_context({name: as_moment(value) for name, value in context.items()})
    assert found.end == (as_moment(end))
    assert found.zone is dt.UTC


def test_time_zone_is_that_of_the_timetable_or_of_the_start_date():
    """A timetable with a time zone of its own decides at which midnight a run begins."""
    from airflow.sdk import AssetOrTimeSchedule, CronDataIntervalTimetable, MultipleCronTriggerTimetable

    oslo = pendulum.datetime(2026, 1, 1, tz="Europe/Oslo")
    cron = CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Kolkata")
    for schedule, start_date, zone in (
        ("@daily", oslo, "Europe/Oslo"),
        ("@daily", None, "UTC"),
        (None, oslo, "Europe/Oslo"),
        (cron, oslo, "Asia/Kolkata"),
        (MultipleCronTriggerTimetable("0 0 * * *", "0 6 * * *", timezone="Asia/Kolkata"), oslo, "Asia/Kolkata"),
        (AssetOrTimeSchedule(timetable=cron, assets=[Asset("a")]), oslo, "Asia/Kolkata"),
        (CronTriggerTimetable("0 0 * * *", timezone="Asia/Kolkata"), oslo, "Asia/Kolkata"),
        ([Asset("a")], oslo, "Europe/Oslo"),
    ):
        assert str(find_time_zone(DAG("d", schedule=schedule, start_date=start_date))) == zone
    assert find_time_zone(None) is dt.UTC


@pytest.mark.parametrize("window", [DateWindow.before_run(days=1), DateWindow.before_run(days=1, timezone="UTC")])
@pytest.mark.parametrize(
    "schedule",
    [
        "@daily",
        CronTriggerTimetable("0 0 * * *", timezone="Europe/Oslo"),
        CronDataIntervalTimetable("0 0 * * *", timezone="Europe/Oslo"),
        None,
    ],
)
def test_dag_run_exports_the_day_before_it(arm_sandbox, arm_connection, run_dag, tmp_path, schedule, window):
    """The manifest names the day in the DAG's time zone, or in the window's, and so does the rendered argument."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    oslo = pendulum.datetime(2026, 1, 1, tz="Europe/Oslo")
    with DAG("daily", schedule=schedule, start_date=oslo, catchup=False) as dag:
        ArItemExportOperator(task_id="export", path=f"{tmp_path}/a.jsonl", window=window)
    run = run_dag(dag, logical_date=pendulum.datetime(2026, 1, 6, tz="Europe/Oslo"))
    assert run.state == "success"
    day = "2026-01-05" if window.timezone is None else "2026-01-04"
    windows = json.loads((tmp_path / "a.jsonl.manifest.json").read_text())["windows"]
    assert [each["window"] for each in windows] == [f"voucherdate {day} to {day}"]
    with create_session() as session:
        rows = session.query(RenderedTaskInstanceFields).filter_by(dag_id="daily", run_id=run.run_id).all()
    assert [row.rendered_fields["window"] for row in rows] == [str(DateWindow(day, day))]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("{{ data_interval_start | ds }}", "{{ data_interval_end | ds }}"),
        ("{{ macros.ds_add(ds, -1) }}", "{{ ds }}"),
        ("{{ data_interval_start }}", "{{ data_interval_end }}"),
        ("{{ data_interval_start.date() }}", "{{ ts }}"),
        ("{{ data_interval_start.in_timezone('Europe/Oslo') | ds_nodash }}", "{{ ts_nodash }}"),
    ],
)
def test_dag_run_exports_the_local_day_of_its_data_interval(arm_sandbox, arm_connection, run_dag, tmp_path, start, end):
    """Airflow's ``ds`` is in UTC, where the interval begins on the day before."""
    oslo = pendulum.datetime(2026, 7, 6, tz="Europe/Oslo")
    schedule = CronDataIntervalTimetable("0 0 * * *", timezone="Europe/Oslo")
    with DAG("local_day", schedule=schedule, start_date=oslo, catchup=False) as dag:
        window = {"start": start, "end": end, "end_exclusive": True}
        ArItemExportOperator(task_id="export", path=f"{tmp_path}/a.jsonl", window=window)
    assert run_dag(dag, logical_date=oslo).state == "success"
    windows = json.loads((tmp_path / "a.jsonl.manifest.json").read_text())["windows"]
    assert [each["window"] for each in windows] == ["voucherdate 2026-07-05 to 2026-07-05"]


@pytest.mark.parametrize(
    ("schedule", "moment", "days"),
    [
        ("@daily", pendulum.datetime(2026, 7, 6, tz="Europe/Oslo"), "2026-07-05 to 2026-07-05"),
        ("@daily", pendulum.datetime(2026, 7, 6, 13, tz="Europe/Oslo"), "2026-07-05 to 2026-07-05"),
        ("@daily", pendulum.datetime(2026, 3, 30, tz="Europe/Oslo"), "2026-03-29 to 2026-03-29"),
        ("@daily", pendulum.datetime(2026, 10, 26, tz="Europe/Oslo"), "2026-10-25 to 2026-10-25"),
        ("0 6 * * *", pendulum.datetime(2026, 7, 6, 6, tz="Europe/Oslo"), "2026-07-05 to 2026-07-05"),
        ("@weekly", pendulum.datetime(2026, 7, 5, tz="Europe/Oslo"), "2026-06-28 to 2026-07-04"),
        ("@monthly", pendulum.datetime(2026, 3, 1, tz="Europe/Oslo"), "2026-02-01 to 2026-02-28"),
    ],
)
def test_data_interval_of_no_length_is_the_last_period_of_the_schedule(schedule, moment, days):
    """The window is the one that data intervals give, whatever the period, and also when the clock changes."""
    with DAG("no_length", schedule=schedule, start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Oslo")) as dag:
        window = DateWindow("{{ data_interval_start | ds }}", "{{ data_interval_end | ds }}", end_exclusive=True)
    utc = moment.in_timezone("UTC")
    context = {"dag": dag, "data_interval_start": utc, "data_interval_end": utc, "logical_date": utc}
    localized = window.localize(context)
    first, last = (localized[name].date() for name in ("data_interval_start", "data_interval_end"))
    assert str(DateWindow(first, last, end_exclusive=True).date_range()) == f"voucherdate {days}"


def test_dag_run_exports_the_day_before_it_by_a_data_interval_of_no_length(
    arm_sandbox, arm_connection, run_dag, tmp_path
):
    """Under ``@daily`` in Airflow 3 both ends of the interval are the moment of the run."""
    oslo = pendulum.datetime(2026, 7, 6, tz="Europe/Oslo")
    schedule = CronTriggerTimetable("@daily", timezone="Europe/Oslo")
    with DAG("no_length", schedule=schedule, start_date=oslo, catchup=False) as dag:
        window = DateWindow("{{ data_interval_start | ds }}", "{{ data_interval_end | ds }}", end_exclusive=True)
        ArItemExportOperator(task_id="export", path=f"{tmp_path}/a.jsonl", window=window)
    assert run_dag(dag, logical_date=oslo).state == "success"
    windows = json.loads((tmp_path / "a.jsonl.manifest.json").read_text())["windows"]
    assert [each["window"] for each in windows] == ["voucherdate 2026-07-05 to 2026-07-05"]


def test_dag_run_fails_when_an_interval_without_schedule_has_no_length(
    arm_sandbox, arm_connection, run_dag, tmp_path, capfd
):
    """The message names what works without a schedule."""
    oslo = pendulum.datetime(2026, 7, 6, tz="Europe/Oslo")
    with DAG("no_schedule", schedule=None, start_date=oslo, catchup=False) as dag:
        window = DateWindow("{{ data_interval_start | ds }}", "{{ data_interval_end | ds }}", end_exclusive=True)
        ArItemExportOperator(task_id="export", path=f"{tmp_path}/a.jsonl", window=window)
    assert run_dag(dag, logical_date=oslo).state == "failed"
    assert not list(tmp_path.iterdir())
    assert "use window=DateWindow.before_run(days=1)" in capfd.readouterr().out


def test_mapped_export_has_a_window_before_its_run(arm_sandbox, arm_connection, run_dag, tmp_path):
    """As an argument of ``partial``, and as a mapping in ``expand``."""
    oslo = pendulum.datetime(2026, 1, 6, tz="Europe/Oslo")
    with DAG("mapped", schedule="@daily", start_date=oslo, catchup=False) as dag:
        arguments = {"path": f"{tmp_path}/{{{{ task.task_id }}}}-{{{{ ti.map_index }}}}.jsonl"}
        ArItemExportOperator.partial(task_id="a", window=DateWindow.before_run(days=1), **arguments).expand(
            filters=[{"customerno": "1"}]
        )
        ArItemExportOperator.partial(task_id="b", **arguments).expand(window=[{"days": 1}, {"months": 1}])
    assert run_dag(dag, logical_date=oslo).state == "success"
    manifests = {path.name[:3]: json.loads(path.read_text()) for path in tmp_path.glob("*.manifest.json")}
    assert {name: manifest["windows"][0]["window"] for name, manifest in manifests.items()} == {
        "a-0": "voucherdate 2026-01-05 to 2026-01-05",
        "b-0": "voucherdate 2026-01-05 to 2026-01-05",
        "b-1": "voucherdate 2025-12-01 to 2025-12-31",
    }
