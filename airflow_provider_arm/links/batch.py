"""Link from a task to the state of its batch at ARM."""

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
    """Link to ``GET /clients/{clientno}/batches/{batchuuid}`` of the task's first batch.

    The address contains no secret. A request needs a token, so it is for API clients and for Amili's support. The
    worker evaluates it at the end of each try, deferred tries included, with the task's own connection.
    """

    name = "Batch at ARM"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or an empty text if there is no batch yet. Never raises."""
        try:
            batch_uuid = _first_batch(operator, ti_key)
            return _address(operator, batch_uuid) if batch_uuid else ""
        except Exception as error:  # noqa: BLE001 - a link must not fail a task that has succeeded
            log.info("Cannot build the link to the batch (%s)", type(error).__name__)
            return ""


def _first_batch(operator: Any, ti_key: TaskInstanceKey) -> str | None:
    """Return the first batchUuid of a sensor's argument, or of the XCom that a submission pushes."""
    is_sensor = hasattr(operator, "batch_uuid")
    batches = operator.batch_uuid if is_sensor else XCom.get_value(ti_key=ti_key, key="batch_uuids")
    if isinstance(batches, Mapping):
        batches = batches.get("batch_uuids")
    return batches if isinstance(batches, str) else next(iter(batches or ()), None)


def _address(operator: Any, batch_uuid: str) -> str:
    from airflow_provider_arm.hooks.settings import parse_client_no

    settings = operator.hook.settings
    client_no = parse_client_no(operator.client_no) or settings.client_no
    return f"{settings.base_url.rstrip('/')}/clients/{client_no}/batches/{quote(batch_uuid, safe='')}"
