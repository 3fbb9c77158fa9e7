"""Tests of ``shared_timer``: repeated steps of thousands of callers run on one timer as if each caller slept."""

from __future__ import annotations

import asyncio
import contextvars

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.triggers.polling.shared_timer import repeat

#: Iterations of the event loop after which every task sleeps.
ITERATIONS_TO_SETTLE = 10


class VirtualClock(SystemClock):
    """Clock that advances when every task sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    async def asleep(self, seconds):
        for _ in range(ITERATIONS_TO_SETTLE):
            await asyncio.sleep(0)
        self.now += seconds


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=6), max_size=12))
def test_steps_run_when_they_are_due(callers):
    """Every step of every caller runs, at the sum of the pauses before it."""
    clock, seen = VirtualClock(), {}

    async def caller(number, pauses):
        remaining = iter(pauses[1:])

        async def step():
            seen.setdefault(number, []).append(clock.now)
            return next(remaining, None)

        await repeat(step, pauses[0], clock)

    async def run():
        await asyncio.gather(*(caller(number, pauses) for number, pauses in enumerate(callers)))

    asyncio.run(run())
    assert seen == {
        number: [sum(pauses[: index + 1]) for index in range(len(pauses))] for number, pauses in enumerate(callers)
    }


def build_step(*results, then=None):
    """Return a step that returns, or raises, these results one after the other, and afterwards *then*."""
    remaining = iter(results)

    async def step():
        result = next(remaining, then)
        if isinstance(result, BaseException):
            raise result
        return result

    return step


def test_error_is_raised_in_its_caller_only():
    """The caller whose step raises gets the same exception object; the other callers continue."""
    clock, error = VirtualClock(), KeyError("x")

    async def run():
        return await asyncio.gather(
            repeat(build_step(1, 1, 1), 1, clock),
            repeat(build_step(1, error), 1, clock),
            repeat(build_step(1, 1, 1), 1, clock),
            return_exceptions=True,
        )

    assert asyncio.run(run()) == [None, error, None]


def test_running_step_is_cancelled_with_its_caller():
    """The running step of a cancelled caller is cancelled and not called again; the other caller continues."""
    seen = []

    async def hanging_step():
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            seen.append("ended")

    started = asyncio.Event()

    async def run():
        cancelled_caller = asyncio.create_task(repeat(hanging_step, 0, SystemClock()))
        other_caller = asyncio.create_task(repeat(build_step(0.001, 0.001), 0, SystemClock()))
        await started.wait()
        cancelled_caller.cancel()
        await asyncio.gather(cancelled_caller, return_exceptions=True)
        await other_caller
        return cancelled_caller.cancelled()

    assert asyncio.run(run())
    assert seen == ["ended"]


def test_scheduled_step_of_a_cancelled_caller_is_skipped():
    """The step of a caller that was cancelled before it was due is not called."""
    clock, calls = VirtualClock(), []

    async def step():
        calls.append(1)

    async def run():
        cancelled_caller = asyncio.create_task(repeat(step, 5, clock))
        await asyncio.sleep(0)
        cancelled_caller.cancel()
        await repeat(build_step(), 10, clock)

    asyncio.run(run())
    assert calls == []
    assert clock.now == 10


def test_cancelled_step_cancels_its_caller():
    """A ``CancelledError`` raised by a step is raised in its caller, which would otherwise wait for ever."""

    async def run():
        with pytest.raises(asyncio.CancelledError):
            await repeat(build_step(asyncio.CancelledError()), 0, VirtualClock())

    asyncio.run(run())


def test_later_caller_with_earlier_step_runs_first():
    """The timer is rescheduled for an earlier step, with the real clock too."""
    order = []

    async def run():
        async def record(name):
            order.append(name)

        late = asyncio.create_task(repeat(lambda: record("late"), 0.2, SystemClock()))
        await asyncio.sleep(0)
        await repeat(lambda: record("early"), 0.001, SystemClock())
        order.append("returned")
        await late

    asyncio.run(run())
    assert order == ["early", "returned", "late"]


def test_step_has_the_context_of_its_caller():
    """A step has the caller's context variables, by which Airflow assigns log lines to triggers."""
    variable, seen = contextvars.ContextVar("variable"), []

    async def caller(name):
        variable.set(name)

        async def step():
            seen.append((name, variable.get()))
            return 1 if len(seen) < 20 else None

        await repeat(step, 1, clock)

    clock = VirtualClock()

    async def run():
        await asyncio.gather(*(caller(name) for name in "abc"))

    asyncio.run(run())
    assert {name for name, _ in seen} == set("abc")
    assert all(name == value for name, value in seen)


def test_clock_error_is_raised_in_every_caller():
    """An error of the shared timer is raised in every caller, and later callers get a new timer."""

    class BrokenClock(VirtualClock):
        async def asleep(self, seconds):
            if self.now == 0:
                self.now = 1
                raise OSError("no clock")
            await super().asleep(seconds)

    clock = BrokenClock()

    async def run():
        results = await asyncio.gather(*(repeat(build_step(), 5, clock) for _ in range(3)), return_exceptions=True)
        await repeat(build_step(1), 5, clock)
        return results

    assert [type(error) for error in asyncio.run(run())] == [OSError] * 3


def test_each_event_loop_has_its_own_timer():
    """A loop that ends with scheduled steps leaves no task behind, and the next loop gets a new timer."""

    async def end_early():
        task = asyncio.create_task(repeat(build_step(then=1), 3600, SystemClock()))
        await asyncio.sleep(0)
        return task

    task = asyncio.run(end_early())
    assert task.cancelled()
    asyncio.run(repeat(build_step(0.001), 0.001, SystemClock()))


def test_ten_thousand_callers_share_one_timer():
    """While all callers sleep, one task and one timer serve them, which keeps garbage collection cheap."""

    async def run():
        callers = [asyncio.create_task(repeat(build_step(), 3600 - number, SystemClock())) for number in range(10_000)]
        for _ in range(ITERATIONS_TO_SETTLE):
            await asyncio.sleep(0)
        others = asyncio.all_tasks() - set(callers) - {asyncio.current_task()}
        scheduled = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009 - not in the type stubs
        timers = [timer for timer in scheduled if not timer.cancelled()]
        return len(others), len(timers)

    assert asyncio.run(run()) == (1, 1)
