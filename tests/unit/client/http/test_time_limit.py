from __future__ import annotations

import asyncio

import pytest

from airflow_provider_arm.client.http.time_limit import TimeLimit

SECONDS = 0.08


async def limited(limit: TimeLimit, seconds: float) -> str:
    """Sleep under a limit and return whether it timed out."""
    task = limit.start()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if limit.has_timed_out(task):
            return "timed out"
        raise
    else:
        return "in time"
    finally:
        limit.finish(task)


def test_only_calls_beyond_the_limit_time_out() -> None:
    """Each of several concurrent calls has its own time, although one timer checks them all."""

    async def run() -> list[str]:
        limit = TimeLimit(30)
        tasks = [asyncio.create_task(limited(limit, 0.05)) for _ in range(3)]
        await asyncio.sleep(0)
        limit._started[tasks[1]] -= 31
        limit._check(asyncio.get_running_loop())
        limit._check(asyncio.get_running_loop())  # a call times out only once
        results = await asyncio.gather(*tasks)
        limit.stop()
        return results

    assert asyncio.run(run()) == ["in time", "timed out", "in time"]


def test_task_continues_after_its_call_timed_out() -> None:
    """The task itself is not cancelled: it can make the next call."""

    async def run() -> tuple[list[str], int]:
        limit = TimeLimit(SECONDS)
        results = [await limited(limit, seconds) for seconds in (30, 0.0, 30)]
        task = asyncio.current_task()
        return results, task.cancelling() if task else -1

    assert asyncio.run(run()) == (["timed out", "in time", "timed out"], 0)


@pytest.mark.parametrize("wait", [0.0, SECONDS * 1.1, SECONDS * 3])
def test_external_cancellation_is_not_a_timeout(wait) -> None:
    """A cancellation from elsewhere always cancels the task, whenever it comes."""

    async def run() -> str:
        limit = TimeLimit(SECONDS)

        async def calls() -> None:
            while True:
                await limited(limit, 30)

        task = asyncio.create_task(calls())
        await asyncio.sleep(wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return "cancelled"

    assert asyncio.run(run()) == "cancelled"


def test_cancellation_wins_over_simultaneous_timeout() -> None:
    """If the limit and another caller cancel a call at the same time, the task is cancelled."""

    async def run() -> None:
        limit = TimeLimit(SECONDS)
        task = asyncio.create_task(limited(limit, 30))
        await asyncio.sleep(0)
        limit._started[task] = -1e9
        limit._check(asyncio.get_running_loop())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_no_timer_is_left_without_calls() -> None:
    """Without a running call there is no timer, and a stopped limit leaves none."""

    async def run() -> list[bool]:
        limit = TimeLimit(SECONDS)
        await limited(limit, 0.0)
        await asyncio.sleep(SECONDS)
        idle = limit._timer is None
        await limited(limit, 0.0)
        limit.stop()
        return [idle, limit._timer is None]

    assert asyncio.run(run()) == [True, True]
