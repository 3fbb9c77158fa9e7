"""Tell somebody that ARM refused records: how many, and where they are. Never who."""

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


def _log(text: str) -> None:
    log.warning(text)


class RejectsNotifier(BaseNotifier):
    """Sends one sentence when ARM has refused records, and nothing when it has not.

    For ``BatchSubmitOperator`` and ``BatchSensor``, as both callbacks: a policy may let a task with refused records
    succeed, and that is when nobody looks::

        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

        tell = RejectsNotifier(send=lambda text: SlackWebhookHook(slack_webhook_conn_id="finance").send(text=text))
        BatchSensor(..., on_rejected="warn", on_success_callback=tell, on_failure_callback=tell)

    The sentence holds counts, the task's name and the address of the rejects file, and nothing of a record.

    :param send: takes the sentence; default: a warning in the log.
    """

    def __init__(self, send: Callable[[str], Any] = _log) -> None:
        super().__init__()
        self.send = send

    def notify(self, context: Context) -> None:
        """Send the sentence, if there is something to tell."""
        said = _failure(context.get("exception")) or _success(context)
        if said:
            ti = context["ti"]
            self.send(f"{ti.dag_id}.{ti.task_id}: {said}")


def _failure(error: Any) -> str | None:
    # Its message is made of counts and the file's address.
    return str(error) if isinstance(error, ArmBatchFailedException) else None


def _success(context: Context) -> str | None:
    if context.get("exception") is not None:
        return None
    if not getattr(context.get("task"), "wait_for_completion", True):
        return None  # a submission that did not wait does not know; whoever waits tells
    ti = context["ti"]
    result = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
    if not isinstance(result, Mapping) or "rejected" not in result or result["rejected"] == 0:
        return None
    from airflow_provider_arm.submission.results.outcome import describe_counts

    sentence = describe_counts("records", result.get("submitted"), result["rejected"])
    return f"{sentence}; {_where(result.get('rejects_uri'))}"


def _where(uri: Any) -> str:
    return f"they are in {uri}" if uri else "set rejects_path to get them with their reasons"
