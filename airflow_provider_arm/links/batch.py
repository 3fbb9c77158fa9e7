"""A link from a task to the state of its batch at ARM."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

log = logging.getLogger(__name__)


class BatchLink(BaseOperatorLink):
    """Leads to ``GET /clients/{clientno}/batches/{batchuuid}`` of the task's first batch.

    The address wants a token, so it is for a person with an API client or for Amili's support. It holds no secret. The
    worker makes it at the end of each try, also of one that is deferred, from the task's own connection.
    """

    name = "Batch at ARM"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Give the address; empty where there is no batch yet. Whatever goes wrong, it never fails a task."""
        try:
            batch_uuid = _first_batch(operator, ti_key)
            return _address(operator, batch_uuid) if batch_uuid else ""
        except Exception as error:  # noqa: BLE001 - a link is no reason to lose what the task has done
            log.info("There is no link to the batch (%s)", type(error).__name__)
            return ""


def _first_batch(operator: Any, ti_key: TaskInstanceKey) -> str | None:
    """Take it from what a sensor was told, or from what a submission notes as soon as ARM has its batches."""
    is_sensor = hasattr(operator, "batch_uuid")
    told = operator.batch_uuid if is_sensor else XCom.get_value(ti_key=ti_key, key="batch_uuids")
    if isinstance(told, Mapping):
        told = told.get("batch_uuids")
    return told if isinstance(told, str) else next(iter(told or ()), None)


def _address(operator: Any, batch_uuid: str) -> str:
    from airflow_provider_arm.hooks.settings import parse_client_no

    settings = operator.hook.settings
    client_no = parse_client_no(operator.client_no) or settings.client_no
    return f"{settings.base_url.rstrip('/')}/clients/{client_no}/batches/{quote(batch_uuid, safe='')}"
