"""``triggers.timetable``: thousands of repeated steps on one timer, and each as if it slept by itself."""

from __future__ import annotations

import asyncio
import contextvars

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.http.retry import SystemClock
from airflow_provider_arm.triggers.polling.shared_timer import repeat

#: Turns of the event loop in which everything that is not asleep has come to its next sleep.
ROUNDS = 10


class VirtualClock(SystemClock):
    """Time that moves when everybody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    async def asleep(self, seconds):
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        self.now += seconds


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=6), max_size=12))
def test_each_caller_gets_its_steps_when_they_are_due(callers):
    """For any callers and pauses, each step comes at the sum of the pauses before it, and each caller gets all."""
    clock, seen = VirtualClock(), {}

    async def caller(number, pauses):
        rest = iter(pauses[1:])

        async def step():
            seen.setdefault(number, []).append(clock.now)
            return next(rest, None)

        await repeat(step, pauses[0], clock)

    async def run():
        await asyncio.gather(*(caller(number, pauses) for number, pauses in enumerate(callers)))

    asyncio.run(run())
    assert seen == {
        number: [sum(pauses[: place + 1]) for place in range(len(pauses))] for number, pauses in enumerate(callers)
    }


def stepper(*answers, then=None):
    """Make a step that gives these answers in turn; an exception is raised."""
    rest = iter(answers)

    async def step():
        answer = next(rest, then)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return step


def test_an_error_comes_out_where_it_belongs_and_nowhere_else():
    """The caller whose step raises gets that very exception; its neighbours go on."""
    clock, error = VirtualClock(), KeyError("x")

    async def run():
        return await asyncio.gather(
            repeat(stepper(1, 1, 1), 1, clock),
            repeat(stepper(1, error), 1, clock),
            repeat(stepper(1, 1, 1), 1, clock),
            return_exceptions=True,
        )

    assert asyncio.run(run()) == [None, error, None]


def test_a_caller_that_leaves_takes_its_step_along():
    """A cancelled caller's running step is cancelled and never called again; its neighbour goes on."""
    seen = []

    async def hangs():
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            seen.append("ended")

    begun = asyncio.Event()

    async def run():
        leaving = asyncio.create_task(repeat(hangs, 0, SystemClock()))
        staying = asyncio.create_task(repeat(stepper(0.001, 0.001), 0, SystemClock()))
        await begun.wait()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await staying
        return leaving.cancelled()

    assert asyncio.run(run())
    assert seen == ["ended"]


def test_a_planned_step_of_a_caller_that_left_is_passed_over():
    """Nothing is called for somebody who has gone while asleep."""
    clock, calls = VirtualClock(), []

    async def step():
        calls.append(1)

    async def run():
        leaving = asyncio.create_task(repeat(step, 5, clock))
        await asyncio.sleep(0)
        leaving.cancel()
        await repeat(stepper(), 10, clock)

    asyncio.run(run())
    assert calls == []
    assert clock.now == 10


def test_a_step_that_is_cancelled_from_within_leaves_nobody_waiting():
    """A cancellation that comes out of a step ends its caller too; it is no step that is waited for for ever."""

    async def run():
        with pytest.raises(asyncio.CancelledError):
            await repeat(stepper(asyncio.CancelledError()), 0, VirtualClock())

    asyncio.run(run())


def test_who_comes_later_and_wants_sooner_is_served_first():
    """The timer is set anew for an earlier step, by the real clock too."""
    order = []

    async def run():
        async def note(name):
            order.append(name)

        late = asyncio.create_task(repeat(lambda: note("late"), 0.2, SystemClock()))
        await asyncio.sleep(0)
        await repeat(lambda: note("early"), 0.001, SystemClock())
        order.append("returned")
        await late

    asyncio.run(run())
    assert order == ["early", "returned", "late"]


def test_a_step_sees_its_callers_context():
    """Context variables are the caller's own: by them Airflow tells whose log a line belongs to."""
    whose, seen = contextvars.ContextVar("whose"), []

    async def caller(name):
        whose.set(name)

        async def step():
            seen.append((name, whose.get()))
            return 1 if len(seen) < 20 else None

        await repeat(step, 1, clock)

    clock = VirtualClock()

    async def run():
        await asyncio.gather(*(caller(name) for name in "abc"))

    asyncio.run(run())
    assert {name for name, _ in seen} == set("abc")
    assert all(name == own for name, own in seen)


def test_a_clock_that_breaks_leaves_nobody_waiting():
    """Whatever goes wrong with the one timer comes out of every caller, and later callers get a new one."""

    class Broken(VirtualClock):
        async def asleep(self, seconds):
            if self.now == 0:
                self.now = 1
                raise OSError("no clock")
            await super().asleep(seconds)

    clock = Broken()

    async def run():
        failed = await asyncio.gather(*(repeat(stepper(), 5, clock) for _ in range(3)), return_exceptions=True)
        await repeat(stepper(1), 5, clock)
        return failed

    assert [type(error) for error in asyncio.run(run())] == [OSError] * 3


def test_a_timetable_ends_with_its_loop():
    """Each event loop has its own; one that is left in the middle holds no task and disturbs no other."""

    async def leave():
        task = asyncio.create_task(repeat(stepper(then=1), 3600, SystemClock()))
        await asyncio.sleep(0)
        return task

    task = asyncio.run(leave())
    assert task.cancelled()
    asyncio.run(repeat(stepper(0.001), 0.001, SystemClock()))


def test_ten_thousand_callers_need_one_timer():
    """While all are asleep there is one task and one timer for them, so that the garbage collector has little to do."""

    async def run():
        callers = [asyncio.create_task(repeat(stepper(), 3600 - number, SystemClock())) for number in range(10_000)]
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        others = asyncio.all_tasks() - set(callers) - {asyncio.current_task()}
        scheduled = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009 - no type has it
        timers = [timer for timer in scheduled if not timer.cancelled()]
        return len(others), len(timers)

    assert asyncio.run(run()) == (1, 1)
