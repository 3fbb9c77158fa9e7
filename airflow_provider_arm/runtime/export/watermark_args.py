"""Arguments of an incremental export, and the store of its watermark."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.files import check_absolute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_arm.export.incremental.run import IncrementOptions
    from airflow_provider_arm.export.incremental.stores import WatermarkStore

#: Default seconds in which a record may still become visible or change.
DEFAULT_OVERLAP = 3600
#: Seconds: ten years. A longer overlap would be a full export, and the watermark must stay a valid timestamp.
MAX_OVERLAP = 10 * 366 * 24 * 3600


def check_incremental_args(*, incremental: bool, watermark_path: str | None) -> None:
    """Check that *watermark_path* is not set without *incremental*.

    :raises ArmConfigurationError: it is.
    """
    if not incremental and watermark_path is not None:
        raise ArmConfigurationError("watermark_path has no effect without incremental=True: set both, or neither")


def build_increment_options(
    context: Context, outlets: Sequence[Any], overlap: float, watermark_path: str | None, client_no: Any
) -> IncrementOptions:
    """Build the options of an incremental export from the task's context and arguments.

    :raises ArmConfigurationError: there is no store for the watermark.
    """
    from airflow_provider_arm.export.incremental.run import IncrementOptions
    from airflow_provider_arm.export.incremental.state import TaskRunKey

    ti: Any = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    store = _watermark_store(context, outlets, watermark_path, map_index)
    run_key = TaskRunKey.of(ti.dag_id, ti.run_id, ti.task_id, map_index)
    return IncrementOptions(store, run_key, math.ceil(overlap * 1000), client_no)


def _watermark_store(
    context: Context, outlets: Sequence[Any], watermark_path: str | None, map_index: int
) -> WatermarkStore:
    if watermark_path is not None:
        return _file_store(watermark_path)
    from airflow.providers.common.compat.sdk import Asset

    from airflow_provider_arm.runtime.export.asset_watermark import AssetWatermarkStore, watermark_key

    asset_states: Any = context.get("asset_state_store")
    asset = next((outlet for outlet in outlets if isinstance(outlet, Asset)), None)
    if asset_states is None or asset is None:
        raise ArmConfigurationError(
            "incremental=True has no place to store the watermark: set an asset outlet, outlets=[Asset(...)] (Airflow "
            "3.3 and later store its state), or watermark_path, a file that works with every Airflow"
        )
    ti: Any = context["ti"]
    return AssetWatermarkStore(asset_states[asset], watermark_key(ti.dag_id, ti.task_id, map_index))


def _file_store(watermark_path: str) -> WatermarkStore:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_arm.export.incremental.stores import FileWatermarkStore

    check_absolute(watermark_path, "watermark_path")
    return FileWatermarkStore(ObjectStoragePath(watermark_path))
