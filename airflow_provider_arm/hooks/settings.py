"""Settings from an Airflow connection of type ``arm``. Light to import; no network unless the profile is in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_arm.client.readings import Readings


@dataclass(frozen=True, slots=True)
class ArmSettings:
    """Settings of a connection. Hashable: equal settings may share one client."""

    base_url: str
    auth_url: str | None
    client_id: str | None = field(repr=False)
    client_secret: str | None = field(repr=False)
    access_token: str | None = field(repr=False)
    scope: str | None
    client_no: int | None
    user_id: str | None
    timeout: float | None
    ca_bundle: str | None
    readings: Readings = field(repr=False)


def read_settings(conn: Connection, extra: Mapping[str, Any]) -> ArmSettings:
    """Read and validate a connection.

    :param extra: its decoded extra; null and ``""`` count as absent, because the connection form stores them.
    :raises ArmConfigurationError: with the connection, the field and the expected value.
    """
    from airflow_provider_arm.hooks.profile import load_profile

    conn_name = f"connection {conn.conn_id!r}"
    fields = {key: value for key, value in extra.items() if value not in (None, "")}
    base_url, readings = _base_url(conn, conn_name), load_profile(fields.get("readings"), conn_name)
    access_token = _text(fields.get("access_token"))
    if access_token is None and not (conn.login and conn.password):
        raise ArmConfigurationError(
            f"{conn_name} has no credentials: set login (client ID) and password (client secret), or extra access_token"
        )
    auth_url = _text(fields.get("auth_url")) or readings.calls.token_urls.get(urlsplit(base_url).hostname or "")
    if access_token is None and auth_url is None:
        msg = f"{conn_name} has no auth_url in its extra: set the full URL of the token service for this host"
        raise ArmConfigurationError(msg)
    return ArmSettings(
        base_url=base_url,
        auth_url=auth_url,
        client_id=conn.login,
        client_secret=conn.password,
        access_token=access_token,
        scope=_text(fields.get("scope")),
        client_no=parse_client_no(fields.get("client_no"), f"client_no in the extra of {conn_name}"),
        user_id=_text(fields.get("user_id")),
        timeout=_seconds(fields.get("timeout"), conn_name),
        ca_bundle=_text(fields.get("ca_bundle")),
        readings=readings,
    )


def parse_client_no(value: Any, name: str = "client_no") -> int | None:
    """Parse a client number, which may be text from a template or the connection form; ``None`` and ``""`` are absent.

    :param name: name of the setting, for the message.
    :raises ArmConfigurationError: it is not a positive whole number.
    """
    if value is None or (isinstance(value, str) and value.strip() in {"", "None"}):
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArmConfigurationError(f"{name} must be a positive whole number such as 2218")
    return int(text)


def _base_url(conn: Connection, conn_name: str) -> str:
    """Return the host as base URL. A host without a scheme, as in the URI form of a connection, gets https."""
    from airflow_provider_arm.client.http.urls import STAGING_BASE_URL

    host = (conn.host or "").strip()
    if not host:
        raise ArmConfigurationError(f"{conn_name} has no host: set it to ARM's base URL, such as {STAGING_BASE_URL}")
    if "://" in host:
        return host
    port = f":{conn.port}" if conn.port else ""
    path = f"/{conn.schema.strip('/')}" if conn.schema else ""
    return f"https://{host}{port}{path}"


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _seconds(value: Any, conn_name: str) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ArmConfigurationError(f"timeout in the extra of {conn_name} must be a number of seconds") from None
