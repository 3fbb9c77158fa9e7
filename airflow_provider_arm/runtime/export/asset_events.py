"""What an asset event says of an export: how much, what it adds up to, and where it lies. Never a record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.providers.common.compat.sdk import Context

#: Of a task's result what its asset events have; dates and pages are in the manifest.
EVENT_KEYS = ("uri", "manifest_uri", "rows", "totals", "sha256", "parts")


def emit_asset_events(context: Context, outlets: Iterable[Any], result: Mapping[str, Any]) -> None:
    """Put facts of an export into the event of each outlet; an asset alias gets the file as its asset.

    Where there are no outlets, or no events in the context (a test of ``execute``), nothing is done.

    :param outlets: the task's own: ``Asset``, ``AssetAlias`` or a reference to one.
    :param result: what the task returns; of it :data:`EVENT_KEYS` is told, as far as it is there.
    :raises ValueError: an alias cannot take the file's address as an asset.
    """
    outlets, events = list(outlets), context.get("outlet_events")
    if events is None or not outlets:
        return
    from airflow.providers.common.compat.sdk import Asset, AssetAlias

    extra = {name: result[name] for name in EVENT_KEYS if name in result}
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            address = asset_uri(result.get("uri") or result["manifest_uri"])
            events[outlet].add(Asset(uri=address), extra=extra)
        else:
            events[outlet].extra = {**events[outlet].extra, **extra}


def asset_uri(address: str) -> str:
    """Give the name of a file as an asset: with a scheme, and without the connection that opens it.

    Another DAG may open the same file through another connection, and it is the same asset.
    """
    scheme, found, rest = address.partition("://")
    if not found:
        return f"file://{Path(address).absolute()}"
    place, slash, key = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{key}"
