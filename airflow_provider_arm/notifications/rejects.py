"""Notifier for rejects: how many there are, and where the rejects file is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseNotifier

from airflow_provider_arm.exceptions import ArmBatchFailedException

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)


class RejectsNotifier(BaseNotifier):
    """Notifier that sends one sentence if there are rejects, and nothing if there are none.

    Set it as both callbacks of ``BatchSubmitOperator`` and ``BatchSensor``, because the reject policy may let a task
    with rejects succeed::

        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

        notify = RejectsNotifier(send=lambda text: SlackWebhookHook(slack_webhook_conn_id="finance").send(text=text))
        BatchSensor(..., on_rejected="warn", on_success_callback=notify, on_failure_callback=notify)

    The sentence contains counts, the task's name and the path of the rejects file, and nothing of a record.

    :param send: function that sends the sentence. Default: write a warning to the log.
    """

    def __init__(self, send: Callable[[str], Any] = log.warning) -> None:
        super().__init__()
        self.send = send

    def notify(self, context: Context) -> None:
        """Send the sentence, if there are rejects."""
        error = context.get("exception")
        # The message of this exception consists of counts and the path.
        sentence = str(error) if isinstance(error, ArmBatchFailedException) else _describe_success(context)
        if sentence:
            ti = context["ti"]
            self.send(f"{ti.dag_id}.{ti.task_id}: {sentence}")


def _describe_success(context: Context) -> str | None:
    """Return the sentence for a task that succeeded with rejects, otherwise ``None``."""
    if context.get("exception") is not None:
        return None
    if not getattr(context.get("task"), "wait_for_completion", True):
        return None  # a submission that has not waited has no outcome yet
    ti = context["ti"]
    result = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
    if not isinstance(result, Mapping) or "rejected" not in result or result["rejected"] == 0:
        return None
    return str(result.get("summary") or "")
