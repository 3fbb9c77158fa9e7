"""An Airflow connection of type ``arm``, read and checked. Pure: no network, nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_arm.client.assumptions import STAGING_BASE_URL, TOKEN_URLS
from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Connection


@dataclass(frozen=True, slots=True)
class ArmSettings:
    """What a connection says. Hashable: equal settings may share one client."""

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


def read_settings(conn: Connection, extra: Mapping[str, Any]) -> ArmSettings:
    """Read a connection.

    :param extra: its decoded extra; null and empty mean absent, as the connection form stores them.
    :raises ArmConfigurationError: naming the connection, the field and what to put there.
    """
    where = f"connection {conn.conn_id!r}"
    given = {key: value for key, value in extra.items() if value not in (None, "")}
    base_url = _base_url(conn, where)
    access_token = _text(given.get("access_token"))
    if access_token is None and not (conn.login and conn.password):
        msg = f"{where} has no credentials: set login (client ID) and password (client secret), or extra access_token"
        raise ArmConfigurationError(msg)
    auth_url = _text(given.get("auth_url")) or TOKEN_URLS.get(urlsplit(base_url).hostname or "")
    if access_token is None and auth_url is None:
        msg = f"{where} has no auth_url in its extra: set the full address of the token call for this host"
        raise ArmConfigurationError(msg)
    return ArmSettings(
        base_url=base_url,
        auth_url=auth_url,
        client_id=conn.login,
        client_secret=conn.password,
        access_token=access_token,
        scope=_text(given.get("scope")),
        client_no=parse_client_no(given.get("client_no"), f"client_no in the extra of {where}"),
        user_id=_text(given.get("user_id")),
        timeout=_seconds(given.get("timeout"), where),
        ca_bundle=_text(given.get("ca_bundle")),
    )


def parse_client_no(value: Any, what: str = "client_no") -> int | None:
    """Read a client number, which a template or the connection form may give as text; ``None`` and ``""`` are absent.

    :raises ArmConfigurationError: it is no positive whole number.
    """
    if value is None or (isinstance(value, str) and value.strip() in {"", "None"}):
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and int(text) > 0):
        msg = f"{what} must be a positive whole number such as 2218"
        raise ArmConfigurationError(msg)
    return int(text)


def _base_url(conn: Connection, where: str) -> str:
    """Take host as the full base URL; a host without a scheme, as the URI form of a connection gives it, is https."""
    host = (conn.host or "").strip()
    if not host:
        msg = f"{where} has no host: set it to ARM's base URL, such as {STAGING_BASE_URL}"
        raise ArmConfigurationError(msg)
    if "://" in host:
        return host
    port = f":{conn.port}" if conn.port else ""
    path = f"/{conn.schema.strip('/')}" if conn.schema else ""
    return f"https://{host}{port}{path}"


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _seconds(value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        msg = f"timeout in the extra of {where} must be a number of seconds"
        raise ArmConfigurationError(msg) from None
