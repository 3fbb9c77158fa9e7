"""Settings from an Airflow connection of type ``arm``. Light to import; no network unless the profile is in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.hooks.fields import check_extra, read_text, strip_invisible

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_arm.client.readings import Readings

#: Digits of a client number at most: it must fit into the 64 bits of any system that stores it.
MAX_CLIENT_NO_DIGITS = 18
#: Seconds of the extra ``timeout`` at most: an hour without a byte is no response any more.
MAX_TIMEOUT = 3600


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


def read_settings(conn: Connection, extra: Any) -> ArmSettings:
    """Read and validate a connection. White space around a field is removed.

    :param extra: its decoded extra; null and ``""`` count as absent, because the connection form stores them.
    :raises ArmConfigurationError: with the connection, the field and the expected value.
    """
    from airflow_provider_arm.hooks.profile import load_profile

    conn_name = f"connection {conn.conn_id!r}"
    fields = {key: value for key, value in check_extra(extra, conn.extra, conn_name).items() if value not in (None, "")}

    def read_extra(name: str, *, is_url: bool = False) -> str | None:
        return read_text(fields.get(name), f"{name} in the extra of {conn_name}", is_url=is_url)

    base_url, readings = _base_url(conn, conn_name), load_profile(fields.get("readings"), conn_name)
    client_id = read_text(conn.login, f"login (client ID) of {conn_name}")
    client_secret = read_text(conn.password, f"password (client secret) of {conn_name}")
    access_token = read_extra("access_token")
    if access_token is None and not (client_id and client_secret):
        raise ArmConfigurationError(
            f"{conn_name} has no credentials: set login (client ID) and password (client secret), or extra access_token"
        )
    auth_url = read_extra("auth_url", is_url=True) or readings.calls.token_urls.get(urlsplit(base_url).hostname or "")
    if access_token is None and auth_url is None:
        msg = f"{conn_name} has no auth_url in its extra: set the full URL of the token service for this host"
        raise ArmConfigurationError(msg)
    return ArmSettings(
        base_url=base_url,
        auth_url=auth_url,
        client_id=client_id,
        client_secret=client_secret,
        access_token=access_token,
        scope=read_extra("scope"),
        client_no=parse_client_no(read_extra("client_no"), f"client_no in the extra of {conn_name}"),
        user_id=read_extra("user_id"),
        timeout=_seconds(read_extra("timeout"), conn_name),
        ca_bundle=read_extra("ca_bundle"),
        readings=readings,
    )


def parse_client_no(value: Any, name: str = "client_no") -> int | None:
    """Parse a client number, which may be text from a template or the connection form; ``None`` and ``""`` are absent.

    :param name: name of the setting, for the message.
    :raises ArmConfigurationError: it is not a positive whole number.
    """
    text = "" if value is None else strip_invisible(str(value))
    if text in {"", "None"}:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_CLIENT_NO_DIGITS and int(text) > 0
    if isinstance(value, bool) or not is_number:
        raise ArmConfigurationError(f"{name} must be a positive whole number such as 2218")
    return int(text)


def read_client_no(name: str, value: Any) -> int | None:
    """Return an argument that is a client number; see :func:`parse_client_no`."""
    return parse_client_no(value, name)


def _base_url(conn: Connection, conn_name: str) -> str:
    """Return the host as base URL. A host without a scheme, as in the URI form of a connection, gets https."""
    from airflow_provider_arm.client.http.urls import STAGING_BASE_URL

    host = read_text(conn.host, f"host (base URL) of {conn_name}", is_url=True)
    if host is None:
        raise ArmConfigurationError(f"{conn_name} has no host: set it to ARM's base URL, such as {STAGING_BASE_URL}")
    if "://" in host:
        _check_port(host, conn.port, conn_name)
        return host
    # Elsewhere in Airflow it is the scheme; the URI form of a connection has the path there.
    schema = read_text(conn.schema, f"schema (path of the base URL) of {conn_name}", is_url=True) or ""
    scheme, path = (schema.lower(), "") if schema.lower() in {"http", "https"} else ("https", schema.strip("/"))
    host, slash, rest = host.partition("/")
    port = f":{conn.port}" if conn.port else ""
    return f"{scheme}://{host}{port}{slash}{rest.rstrip('/')}/{path}".rstrip("/")


def _check_port(url: str, port: int | None, conn_name: str) -> None:
    """Check that the port of a connection is that of its URL: it would be ignored."""
    from airflow_provider_arm.client.http.urls import DEFAULT_PORTS

    try:
        parts = urlsplit(url)
        known = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return  # the client raises a better message
    if port and known and port != known:
        raise ArmConfigurationError(
            f"port {port} of {conn_name} contradicts port {known} of its host: write it into the URL, or leave it empty"
        )


def _seconds(text: str | None, conn_name: str) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_TIMEOUT:
        raise ArmConfigurationError(
            f"timeout in the extra of {conn_name} must be a number of seconds greater than 0 and at most {MAX_TIMEOUT}"
        )
    return seconds
