from __future__ import annotations

import asyncio

import pytest

from airflow_provider_arm.client.http.time_limit import TimeLimit

SECONDS = 0.08


async def limited(limit: TimeLimit, seconds: float) -> str:
    """Sleep under a limit."""
    task = limit.begin()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if limit.has_ended(task):
            return "too long"
        raise
    else:
        return "in time"
    finally:
        limit.finish(task)


def test_only_what_lasts_too_long_is_ended() -> None:
    """Of calls side by side each has its own time, whatever the timer finds with the others."""

    async def run() -> list[str]:
        limit = TimeLimit(30)
        tasks = [asyncio.create_task(limited(limit, 0.05)) for _ in range(3)]
        await asyncio.sleep(0)
        limit._began[tasks[1]] -= 31
        limit._check(asyncio.get_running_loop())
        limit._check(asyncio.get_running_loop())  # what is ended is ended once
        found = await asyncio.gather(*tasks)
        limit.stop()
        return found

    assert asyncio.run(run()) == ["in time", "too long", "in time"]


def test_a_task_goes_on_after_its_call_was_ended() -> None:
    """It is not cancelled: what it does next is under way like anything else."""

    async def run() -> tuple[list[str], int]:
        limit = TimeLimit(SECONDS)
        found = [await limited(limit, seconds) for seconds in (30, 0.0, 30)]
        task = asyncio.current_task()
        return found, task.cancelling() if task else -1

    assert asyncio.run(run()) == (["too long", "in time", "too long"], 0)


@pytest.mark.parametrize("wait", [0.0, SECONDS * 1.1, SECONDS * 3])
def test_whoever_is_cancelled_is_cancelled(wait) -> None:
    """A cancellation from elsewhere is never taken for a call that took too long, whenever it comes."""

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


def test_both_at_once_is_a_cancellation() -> None:
    """Where the limit and somebody else end a call in the same moment, the task is cancelled."""

    async def run() -> None:
        limit = TimeLimit(SECONDS)
        task = asyncio.create_task(limited(limit, 30))
        await asyncio.sleep(0)
        limit._began[task] = -1e9
        limit._check(asyncio.get_running_loop())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_no_timer_is_left() -> None:
    """When nothing is under way, nothing is looked at, and a client that is closed leaves no timer."""

    async def run() -> list[bool]:
        limit = TimeLimit(SECONDS)
        await limited(limit, 0.0)
        await asyncio.sleep(SECONDS)
        idle = limit._timer is None
        await limited(limit, 0.0)
        limit.stop()
        return [idle, limit._timer is None]

    assert asyncio.run(run()) == [True, True]
