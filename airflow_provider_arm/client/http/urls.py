"""URLs that requests may go to: https, or plain http on this machine. The token is never sent to another host."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Base URL of the staging environment (documented).
STAGING_BASE_URL = "https://api.staging.amili.no/arm/v1"
DEFAULT_PORTS = {"https": 443, "http": 80}
#: Header that the sandbox adds to every response.
SANDBOX_HEADER = "x-arm-sandbox"
#: Path segments that a URL parser resolves, quoted or not: they would address another resource.
_DOT_SEGMENTS = frozenset({".", ".."})
#: A URL that every parser reads alike: only the characters of RFC 3986 (a backslash ends the host for urllib3 but not
#: for Python's urlsplit), and no userinfo.
_UNAMBIGUOUS_URL = re.compile(
    r"https?://[A-Za-z0-9.:\[\]_~-]+(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?", re.IGNORECASE
)


def is_loopback(host: str | None) -> bool:
    """Return whether *host* always means this machine: ``localhost`` or a loopback IP address."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str, name: str) -> SplitResult:
    """Check a URL of the connection and return its parts.

    :param name: name of the setting, for the message.
    :raises ArmConfigurationError: it is not an http(s) URL, is plain http to another machine, or contains credentials.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port, (parts.hostname or "").encode("idna")  # as the HTTP libraries do, with errors of their own
    except ValueError:
        raise ArmConfigurationError(f"{name} is not a valid URL") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ArmConfigurationError(f"{name} must be a full URL such as {STAGING_BASE_URL}")
    if parts.username is not None or parts.password is not None:
        msg = f"{name} must not contain credentials: put them into login and password of the connection"
        raise ArmConfigurationError(msg)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        msg = f"{name} must be https: plain http would send the token unencrypted (only a loopback host may use it)"
        raise ArmConfigurationError(msg)
    return parts


def is_unambiguous(url: str) -> bool:
    """Return whether every parser reads *url* alike."""
    return _UNAMBIGUOUS_URL.fullmatch(url) is not None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """ARM's base URL, checked by :meth:`parse`."""

    url: str

    @classmethod
    def parse(cls, url: str) -> BaseUrl:
        """Check *url* and return it without slashes at its end.

        :raises ArmConfigurationError: see :func:`check_url`; also for a query or fragment.
        """
        parts = check_url(url, "the base URL (host of the connection)")
        if parts.query or parts.fragment:
            raise ArmConfigurationError("the base URL (host of the connection) must end with the path, without ? or #")
        return cls(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")

    @property
    def hostname(self) -> str:
        """Host name without the port, in lower case."""
        return urlsplit(self.url).hostname or ""

    def join(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """Append a path, which is quoted already, and query parameters to the base URL."""
        text = encode_query(params or {})
        return f"{self.url}{path}?{text}" if text else f"{self.url}{path}"

    def is_same_origin(self, url: str) -> bool:
        """Return whether *url* certainly has the base URL's scheme, host and port."""
        if not is_unambiguous(url):
            return False
        try:
            return _origin(urlsplit(url)) == _origin(urlsplit(self.url))
        except ValueError:
            return False


def fill_path(path: str, values: Mapping[str, Any]) -> str:
    """Replace each ``{name}`` of a path by its value, quoted as one segment.

    :raises ArmConfigurationError: a value is missing, empty, or ``.`` or ``..``.
    """
    quoted = {}
    for name, value in values.items():
        text = "" if value is None else str(value)
        if not text.strip() or text in _DOT_SEGMENTS:
            raise ArmConfigurationError(f"{name} is required and must not be empty, '.' or '..' ({path})")
        quoted[name] = quote(text, safe="")
    try:
        return path.format(**quoted)
    except KeyError as error:
        raise ArmConfigurationError(f"{error.args[0]} is missing ({path})") from None


def encode_query(params: Mapping[str, Any]) -> str:
    """Encode query parameters: ``None`` is omitted, a list is repeated, booleans are in lower case, dates ISO."""
    pairs = []
    for name, value in params.items():
        items = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _format_value(item)) for item in items if item is not None]
    return urlencode(pairs, quote_via=quote)


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def raise_for_remote_sandbox(url: str, headers: Mapping[str, str]) -> None:
    """Reject a response of a sandbox on another machine, because the connection's owner believes that it is ARM.

    :param headers: of the response, names in lower case.
    :raises ArmConfigurationError: the response has the sandbox's header and the host of *url* is not this machine.
    """
    if SANDBOX_HEADER in headers and not is_loopback(urlsplit(url).hostname):
        raise ArmConfigurationError(
            "the host of the connection is an ARM sandbox on another machine, not ARM: its response is ignored; "
            "set the host to ARM's base URL"
        )
