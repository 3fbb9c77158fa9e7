"""Asset events of an export: row count, totals and addresses, no data of a record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.providers.common.compat.sdk import Context

#: Keys of a task's result that its asset events have. Dates and pages are in the manifest.
EVENT_KEYS = ("uri", "manifest_uri", "rows", "totals", "sha256", "parts")


def emit_asset_events(context: Context, outlets: Iterable[Any], result: Mapping[str, Any]) -> None:
    """Add the result of an export to the event of each outlet. The file becomes the asset of an asset alias.

    Do nothing if there are no outlets, or no events in the context (a test that calls ``execute``).

    :param outlets: the outlets of the task: ``Asset``, ``AssetAlias`` or a reference to one.
    :param result: the result of the task; its :data:`EVENT_KEYS` become the event's ``extra``, as far as it has them.
    :raises ValueError: the file's address cannot be an asset of an alias.
    """
    outlets, events = list(outlets), context.get("outlet_events")
    if events is None or not outlets:
        return
    from airflow.providers.common.compat.sdk import Asset, AssetAlias

    extra = {name: result[name] for name in EVENT_KEYS if name in result}
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            uri = asset_uri(result.get("uri") or result["manifest_uri"])
            events[outlet].add(Asset(uri=uri), extra=extra)
        else:
            events[outlet].extra = {**events[outlet].extra, **extra}


def asset_uri(address: str) -> str:
    """Return the asset URI of a file: its address with a scheme, and without the connection that opens it.

    Another DAG may open the same file through another connection; it is the same asset.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return f"file://{Path(address).absolute()}"
    authority, slash, key = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{key}"
