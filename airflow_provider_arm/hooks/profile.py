"""Readings profile of a connection: an object in its extra, or the address of a JSON or YAML file."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings, decode_profile
from airflow_provider_arm.files import check_absolute
from airflow_provider_arm.hooks.fields import strip_invisible

#: Bytes of a profile's file. A profile with every entry has a tenth of it, so a larger file contains something else.
MAX_FILE_SIZE = 2**18
_SUFFIXES = (".json", ".yaml", ".yml")


def load_profile(value: Any, conn_name: str) -> Readings:
    """Return the profile of a connection.

    :param value: ``readings`` of the extra: a mapping, its JSON text (as the connection form stores it), or the address
        of a file (local and absolute, ``s3://``, ...); ``None``: the defaults.
    :param conn_name: the connection, for the message.
    :raises ArmConfigurationError: the file cannot be read, or an entry is unknown or invalid; the message names it.
    """
    place = f"readings of {conn_name}"
    if value is None:
        return DEFAULT_READINGS
    if not isinstance(value, str):
        return Readings.parse(value, place)
    text = strip_invisible(value)
    if text.startswith("{"):
        return Readings.parse(decode_profile(text, ".json", place), place)
    if not text.endswith(_SUFFIXES):
        raise ArmConfigurationError(f"{place} must be an object, or the address of a file ending in .json or .yaml")
    check_absolute(text, place, "each process may start in another folder")
    return Readings.parse(decode_profile(_read(text, place), text, place), f"{place} ({text})")


def _read(address: str, place: str) -> str:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        with ObjectStoragePath(address).open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
        if len(content) <= MAX_FILE_SIZE:
            return str(content, "utf-8-sig")
        reason = f"more than {MAX_FILE_SIZE // 1024} KB"
    except Exception as error:  # noqa: BLE001 - each object store has exceptions of its own
        reason = getattr(error, "strerror", None) or type(error).__name__
    raise ArmConfigurationError(f"{place}: {address} cannot be read ({reason})")
