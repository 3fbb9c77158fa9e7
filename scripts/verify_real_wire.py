"""The address of the observed ARM, and raw calls to it with the client's own token.

Used by ``verify_real.py`` and by the contract tests, which both need the unparsed responses.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests

from airflow_provider_arm.client import ArmClient, ArmError, ClientCredentials, Transport, money
from airflow_provider_arm.client.http.requests_errors import classify_error
from airflow_provider_arm.client.http.transport import proxies_for
from airflow_provider_arm.client.http.urls import fill_path, raise_for_remote_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from airflow_provider_arm.sandbox import ArmSandbox

NEEDED = (
    "ARM_REAL_BASE_URL",
    "ARM_REAL_AUTH_URL",
    "ARM_REAL_CLIENT_ID",
    "ARM_REAL_CLIENT_SECRET",
    "ARM_REAL_CLIENT_NO",
)

#: Base URL of production; the host is documented, the path is assumed. Invoices are never posted there.
PRODUCTION_URL = "https://api.amili.no/arm/v1"
#: Values of ``ARM_REAL_WRITE``: write nothing, customers, customers and documents.
WRITES = ("", "yes", "documents")

#: Long enough that no existing number begins with it by chance, short enough for eight more digits.
PREFIX = re.compile(r"[A-Za-z0-9-]{3,8}")

#: Statuses after which a read is retried.
TEMPORARY_STATUSES = frozenset({429, 500, 502, 503, 504})
_ATTEMPTS = 3
_TIMEOUT = (10, 60)
_UNAUTHORIZED = 401


class VariablesError(Exception):
    """Error: variables are missing or wrong; one line for each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class WireError(Exception):
    """Error: no response, or no token. The message contains no secret and no data."""


@dataclass(frozen=True, slots=True)
class Target:
    """An ARM client number with its credentials, and what may be written to it."""

    base_url: str
    auth_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    client_no: int
    user_id: str | None = None
    scope: str | None = None
    write: str = ""
    prefix: str = ""


def read_target(environ: Mapping[str, str]) -> Target:
    """Read the ``ARM_REAL_*`` variables.

    :raises VariablesError: names all variables that are missing or wrong.
    """
    given = {name: value.strip() for name, value in environ.items() if name.startswith("ARM_REAL_")}
    wrong = [f"{name} is missing" for name in NEEDED if not given.get(name)]
    number, write = given.get(NEEDED[-1], ""), given.get("ARM_REAL_WRITE", "")
    prefix = given.get("ARM_REAL_TEST_PREFIX", "")
    if number and not (number.isascii() and number.isdigit()):
        wrong.append("ARM_REAL_CLIENT_NO must be a whole number")
    if write not in WRITES:
        wrong.append("ARM_REAL_WRITE must be yes, documents, or not set")
    elif write and not PREFIX.fullmatch(prefix):
        form = "3 to 8 letters, digits or hyphens with which no existing number begins"
        wrong.append(f"ARM_REAL_TEST_PREFIX must be set for writes: {form}")
    production = urlsplit(PRODUCTION_URL).hostname
    if write == "documents" and urlsplit(given.get("ARM_REAL_BASE_URL", "")).hostname == production:
        wrong.append(f"ARM_REAL_WRITE=documents is refused for {production}: a document cannot be deleted there")
    if wrong:
        raise VariablesError(wrong)
    base_url, auth_url, client_id, client_secret = (given[name] for name in NEEDED[:4])
    return Target(
        base_url,
        auth_url,
        client_id,
        client_secret,
        int(number),
        user_id=given.get("ARM_REAL_USER_ID") or None,
        scope=given.get("ARM_REAL_SCOPE") or None,
        write=write,
        prefix=prefix,
    )


def target_of(box: ArmSandbox) -> Target:
    """Return a sandbox as a target to which everything may be written."""
    allowed = {"user_id": "verify", "write": "documents", "prefix": "VERIFY"}
    return Target(box.base_url, box.auth_url, box.client_id, box.client_secret, box.client_no, **allowed)


@dataclass(frozen=True)
class RawResponse:
    """A response as it was received."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @cached_property
    def json(self) -> Any:
        """The decoded body with exact numbers; None if it is no JSON."""
        try:
            return money.decode(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def object(self) -> dict[str, Any]:
        """The decoded body if it is an object, else an empty one."""
        return self.json if isinstance(self.json, dict) else {}


def get_token(target: Target) -> RawResponse:
    """Send the token call."""
    credentials = ClientCredentials(target.auth_url, target.client_id, target.client_secret, target.scope)
    request = credentials.request()
    with _session() as session:
        return _send(session, "POST", request.url, request.headers, request.body)


class Wire:
    """Raw calls under one client number.

    :param wait: called with the seconds to wait; sleeps, or advances a sandbox's clock.
    """

    def __init__(self, target: Target, wait: Callable[[float], object] = time.sleep) -> None:
        self.target = target
        self.wait = wait
        self.token = ""
        #: Statuses after which a read was retried.
        self.temporary_errors: list[int] = []
        self._session = _session()
        credentials = ClientCredentials(target.auth_url, target.client_id, target.client_secret, target.scope)
        self.client = ArmClient(
            target.base_url, credentials, client_no=target.client_no, user_id=target.user_id, on_token=self._store_token
        )

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all sessions."""
        self.client.close()
        self._session.close()

    def _store_token(self, token: str) -> None:
        self.token = token

    def get(
        self, *path: str, token: str | None = None, headers: Mapping[str, str] | None = None, **params: Any
    ) -> RawResponse:
        """Send a GET for a path under the client number.

        :param token: sent instead of the client's own, without retries; empty: send none.
        :raises WireError: no response.
        """
        if token is not None:
            return self._once("GET", path, params, token=token)
        for _ in range(_ATTEMPTS):
            response = self._once("GET", path, params, headers=headers)
            if response.status == _UNAUTHORIZED:
                self.token = ""
            elif response.status in TEMPORARY_STATUSES:
                self.temporary_errors.append(response.status)
                self.wait(2)
            else:
                break
        return response

    def write(self, method: str, path: str, key: str, record: Any) -> RawResponse:
        """Send a record or a batch in its envelope, without retries."""
        body = {"metadata": {"userId": self.target.user_id or "verify-real"}, key: record}
        return self._once(method, tuple(path.split("/")), {}, body=money.encode(body))

    def delete(self, *path: str) -> RawResponse:
        """Send a DELETE, without retries."""
        return self._once("DELETE", path, {})

    def _once(
        self,
        method: str,
        path: tuple[str, ...],
        params: Mapping[str, Any],
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> RawResponse:
        places = "/clients/{client}" + "".join(f"/{{p{number}}}" for number in range(len(path)))
        segments = {f"p{number}": part for number, part in enumerate(path)}
        url = self.target.base_url.rstrip("/") + fill_path(places, {"client": self.target.client_no, **segments})
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        token = self._own_token() if token is None else token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        return _send(self._session, method, url, sent, body, params=params)

    def _own_token(self) -> str:
        if not self.token:
            try:
                self.client.check()
            except ArmError as error:
                if not self.token:
                    raise WireError(str(error)) from None
        return self.token


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no .netrc, like the client
    session.verify = Transport().ca_file()
    return session


def _send(
    session: requests.Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    params: Mapping[str, Any] | None = None,
) -> RawResponse:
    try:
        response = session.request(
            method,
            url,
            params=params,
            data=body,
            headers=dict(headers),
            allow_redirects=False,
            timeout=_TIMEOUT,
            proxies=proxies_for(url),
        )
    except (requests.RequestException, OSError) as error:
        raise WireError(f"{method} {urlsplit(url).path}: {classify_error(error).reason}") from None
    received = {name.lower(): value for name, value in response.headers.items()}
    raise_for_remote_sandbox(url, received)
    return RawResponse(response.status_code, received, response.content)


class Numbers:
    """Customer and document numbers under the prefix, new in every run."""

    def __init__(self, prefix: str) -> None:
        self._stem = f"{prefix}{secrets.randbelow(1_000_000):06d}"
        self._count = 0

    def new(self) -> str:
        """Return an unused number."""
        self._count += 1
        return f"{self._stem}{self._count:02d}"
