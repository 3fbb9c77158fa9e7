"""Process that has imported everything and forks one child per job, which may be killed at any moment.

It reads one job per line from its input. Its argument is a file descriptor, to which it writes one line per job: the
signal that ended the child, and how long it ran in seconds. If a child is suspended, a line with its pid comes first.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

import airflow_provider_arm.hooks.arm
import airflow_provider_arm.hooks.shared
import airflow_provider_arm.runtime.submission
import airflow_provider_arm.submission.journal.file_journal  # noqa: F401 - everything is imported before the fork
from airflow_provider_arm.client import ArmClient, AsyncArmClient  # noqa: F401 - these too
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.triggers.batch import BatchTrigger
from tests.crash.points import Killer


class TaskInstance(SimpleNamespace):
    """Task instance of one try."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.killer.pass_point("before the XCom")
        self.killer.pass_point("after the XCom")  # Airflow has it now, and clears it when the next try starts


def attempt(job: dict[str, Any]) -> dict[str, Any]:
    """Run the part of a task that one process runs: ``execute``, the trigger, or ``execute_complete``."""
    os.environ["AIRFLOW_CONN_ARM_DEFAULT"] = json.dumps(job["connection"])
    killer = Killer(job["point"], job["nth"], job["effect_log_url"], job["signal"])
    killer.install()
    ti = TaskInstance(killer=killer, **job["ti"])
    try:
        if job["part"] == "trigger":
            return {"end": "event", "event": asyncio.run(_first_event(BatchTrigger(**job["trigger"])))}
        operator = BatchSubmitOperator(task_id=job["ti"]["task_id"], **job["operator"])
        if job["part"] == "execute":
            value = operator.execute({"ti": ti})
        else:
            value = operator.execute_complete({"ti": ti}, event=job["event"], **job["kwargs"])
    except TaskDeferred as deferred:
        killer.pass_point("before deferring")
        return {"end": "deferred", "trigger": deferred.trigger.serialize()[1], "kwargs": deferred.kwargs}
    except AirflowFailException as error:
        return {"end": "failed", "message": str(error)}
    except AirflowException as error:
        return {"end": "transient", "message": str(error)}
    killer.pass_point("before the return")
    return {"end": "done", "value": value}


async def _first_event(trigger: BatchTrigger) -> Any:
    async for event in trigger.run():
        return event.payload
    return None


def child(job: dict[str, Any]) -> None:
    """Run the job: its output goes into one file, its result into another."""
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    result = Path(job["result"])
    part = result.with_suffix(".part")
    part.write_text(json.dumps(attempt(job)), encoding="utf-8")
    part.replace(result)


def main() -> None:
    """Run jobs until the input ends."""
    replies = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    # sigtimedwait waits for the end of a child with a time limit, for kills at a random moment.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for line in sys.stdin:
        job = json.loads(line)
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                child(job)
            finally:
                os._exit(0)
        if job["delay"] is not None and signal.sigtimedwait({signal.SIGCHLD}, job["delay"]) is None:
            os.kill(pid, signal.SIGKILL)
        while os.WIFSTOPPED(status := os.waitpid(pid, os.WUNTRACED)[1]):
            replies.write(json.dumps({"stopped": pid}) + "\n")
        signal.sigtimedwait({signal.SIGCHLD}, 0)  # consumed, so that the next wait does not receive it
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        replies.write(json.dumps({"signal": ended_by, "seconds": time.monotonic() - started}) + "\n")


if __name__ == "__main__":
    main()
