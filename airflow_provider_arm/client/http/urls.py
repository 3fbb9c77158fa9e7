"""Where requests may go: https, or plain http on this machine; never to another host with our token."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from airflow_provider_arm.client.assumptions import STAGING_BASE_URL
from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_PORTS = {"https": 443, "http": 80}
#: Header that the sandbox puts on every answer.
SANDBOX_HEADER = "x-arm-sandbox"
#: Path segments that a URL parser resolves away, quoted or not: they would reach another resource.
_DOT_SEGMENTS = frozenset({".", ".."})
#: An address that every parser reads alike: only RFC 3986's characters (a backslash ends the host for urllib3 and not
#: for Python's urlsplit), and no userinfo.
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]_~-]+(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?", re.IGNORECASE)


def is_loopback(host: str | None) -> bool:
    """Whether *host* is this machine and nothing else."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str, what: str) -> SplitResult:
    """Check an address of the connection: ``what`` names it in the error.

    :raises ArmConfigurationError: it is no http(s) address, is plain http to another machine, or holds credentials.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        msg = f"{what} is not an address"
        raise ArmConfigurationError(msg) from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        msg = f"{what} must be a full address such as {STAGING_BASE_URL}"
        raise ArmConfigurationError(msg)
    if parts.username is not None or parts.password is not None:
        msg = f"{what} must not hold credentials: put them into login and password of the connection"
        raise ArmConfigurationError(msg)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        msg = f"{what} must be https: plain http would send the token in the clear (only a loopback host may use it)"
        raise ArmConfigurationError(msg)
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """ARM's base URL, checked."""

    url: str

    @classmethod
    def parse(cls, url: str) -> BaseUrl:
        """Check *url* and take it.

        :raises ArmConfigurationError: see :func:`check_url`; also a query or fragment.
        """
        parts = check_url(url, "the base URL (host of the connection)")
        if parts.query or parts.fragment:
            msg = "the base URL (host of the connection) must end with the path, without ? or #"
            raise ArmConfigurationError(msg)
        return cls(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")

    @property
    def hostname(self) -> str:
        """The host alone, lower case."""
        return urlsplit(self.url).hostname or ""

    def join(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """Put a path, already quoted, and query parameters under the base."""
        text = encode_query(params or {})
        return f"{self.url}{path}?{text}" if text else f"{self.url}{path}"

    def is_same_origin(self, url: str) -> bool:
        """Whether *url* has the base's own scheme, host and port, beyond any doubt."""
        if not _PLAIN_URL.fullmatch(url):
            return False
        try:
            return _origin(urlsplit(url)) == _origin(urlsplit(self.url))
        except ValueError:
            return False


def fill_path(path: str, values: Mapping[str, Any]) -> str:
    """Fill ``{name}`` places of a path, each value as one quoted segment.

    :raises ArmConfigurationError: a value is missing, empty, or ``.`` or ``..``.
    """
    quoted = {}
    for name, value in values.items():
        text = "" if value is None else str(value)
        if not text.strip() or text in _DOT_SEGMENTS:
            msg = f"{name} must be given and must not be empty, '.' or '..' ({path})"
            raise ArmConfigurationError(msg)
        quoted[name] = quote(text, safe="")
    try:
        return path.format(**quoted)
    except KeyError as error:
        msg = f"{error.args[0]} is missing ({path})"
        raise ArmConfigurationError(msg) from None


def encode_query(params: Mapping[str, Any]) -> str:
    """Write query parameters; ``None`` is left out, a list is repeated, true and false are lower case."""
    pairs = []
    for name, value in params.items():
        items = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _query_value(item)) for item in items if item is not None]
    return urlencode(pairs, quote_via=quote)


def _query_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def raise_for_remote_sandbox(url: str, headers: Mapping[str, str]) -> None:
    """Refuse an answer of a sandbox that does not run on this machine: somebody believes it to be ARM.

    :raises ArmConfigurationError: always with the way out.
    """
    if SANDBOX_HEADER in headers and not is_loopback(urlsplit(url).hostname):
        msg = "the host of the connection is an ARM sandbox on another machine, not ARM: nothing it says counts"
        raise ArmConfigurationError(msg)
