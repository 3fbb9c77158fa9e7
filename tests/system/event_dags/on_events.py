"""DAGs that start on events of ARM, with short poll intervals."""

from __future__ import annotations

import os

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
from airflow_provider_arm.triggers.batch_finished import BatchFinishedEventTrigger

POLL_SECONDS = 1.0


def watched(name, trigger):
    """Return an asset with one watcher."""
    return Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])


ASSETS = [
    watched("arm_all_items", NewArItemsEventTrigger(poll_interval=POLL_SECONDS)),
    watched("arm_invoices", NewArItemsEventTrigger(poll_interval=POLL_SECONDS, where={"voucherType": [3]})),
    watched("arm_payments", NewArItemsEventTrigger(poll_interval=POLL_SECONDS, where={"voucherType": [1]})),
    watched(
        "arm_batches", BatchFinishedEventTrigger(poll_interval=POLL_SECONDS, receipts_path=os.environ["ARM_RECEIPTS"])
    ),
]

for asset in ASSETS:
    with DAG(f"on_{asset.name}", schedule=[asset], catchup=False, is_paused_upon_creation=False):

        @task
        def reported(triggering_asset_events=None):
            """Return the payloads of the events that started the run."""
            events = [event for events in triggering_asset_events.values() for event in events]
            return [event.extra["payload"] for event in events]

        reported()
