"""Log items. The reference names them by title only: their fields are assumed."""

from __future__ import annotations

from airflow_provider_arm.client.models.base import ArmModel, Timestamp


class LogItem(ArmModel):
    """One log item. Its fields are named like those of other items (assumed); unknown ones are kept."""

    client_no: int | None = None
    #: Key of the item.
    log_item_id: str
    created_time: Timestamp | None = None
