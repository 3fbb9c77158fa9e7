"""Links from a task to its batches."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

log = logging.getLogger(__name__)

#: Batches of a task that have a link: Airflow fixes the number of links when the DAG is parsed, and hides unused ones.
MAX_LINKS = 9
#: Hosts at which only the sandbox listens: its page needs no token.
_SANDBOX_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class BatchLink(BaseOperatorLink):
    """Link to one batch of a task: the sandbox's page of it.

    ARM has no page for a browser, and its API needs a token. There the task has no link, and the address of each batch
    is in its log. The worker evaluates a link at the end of each try, deferred tries included, with the task's own
    connection.

    :param position: of the batch, from 1.
    """

    def __init__(self, position: int = 1) -> None:
        self.position = position

    @property
    def name(self) -> str:
        """Name of the link on the task's details."""
        return f"Batch {self.position}"

    @property
    def xcom_key(self) -> str:
        """Key under which Airflow stores the link."""
        return f"_link_{type(self).__name__}_{self.position}"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or an empty text if there is no such batch or no page for it. Never raises."""
        try:
            uuids = _batch_uuids(operator, ti_key)
            return _page_address(operator, uuids[self.position - 1]) if self.position <= len(uuids) else ""
        except Exception as error:  # noqa: BLE001 - a link must not fail a task that has succeeded
            log.info("Cannot build the link to the batch (%s)", type(error).__name__)
            return ""


#: Links of an operator or sensor: one for each of its first batches.
BATCH_LINKS = tuple(BatchLink(position) for position in range(1, MAX_LINKS + 1))


def batch_address(operator: Any, batch_uuid: str) -> str:
    """Return the address of a batch in ARM's API, which a request with a token can read. It contains no secret."""
    settings, client_no = _target(operator)
    return f"{settings.base_url.rstrip('/')}/clients/{client_no}/batches/{quote(batch_uuid, safe='')}"


def _page_address(operator: Any, batch_uuid: str) -> str:
    """Return the address of the sandbox's page of a batch; empty if the connection is not one to the sandbox."""
    settings, client_no = _target(operator)
    parts = urlsplit(settings.base_url)
    if parts.hostname not in _SANDBOX_HOSTS:
        return ""
    return f"{parts.scheme}://{parts.netloc}/?client_no={client_no}&batch={quote(batch_uuid, safe='')}"


def _target(operator: Any) -> tuple[Any, int | None]:
    from airflow_provider_arm.hooks.settings import parse_client_no

    settings = operator.hook.settings
    return settings, parse_client_no(operator.client_no) or settings.client_no


def _batch_uuids(operator: Any, ti_key: TaskInstanceKey) -> list[str]:
    """Return the batchUuids of a sensor's argument, or of the XCom that a submission pushes."""
    is_sensor = hasattr(operator, "batch_uuid")
    batches = operator.batch_uuid if is_sensor else XCom.get_value(ti_key=ti_key, key="batch_uuids")
    if isinstance(batches, str):
        return [batches]
    results = [batches] if isinstance(batches, Mapping) else list(batches or ())
    uuids: list[str] = []
    for each in results:
        uuids += each.get("batch_uuids") or () if isinstance(each, Mapping) else [each]
    return uuids
