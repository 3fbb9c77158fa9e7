"""Raw calls to the observed ARM, and its responses as they were received."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests

from airflow_provider_arm.client import ArmClient, ClientCredentials, Transport, money
from airflow_provider_arm.client.http.requests_errors import classify_error
from airflow_provider_arm.client.http.transport import proxies_for
from airflow_provider_arm.client.http.urls import fill_path, raise_for_remote_sandbox
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from tests.contract.observer.translate import request_names, to_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from airflow_provider_arm.client.reading_entries import CallReadings
    from tests.contract.observer.target import Target

#: Statuses after which a read is retried.
TEMPORARY_STATUSES = frozenset({429, 500, 502, 503, 504})
_ATTEMPTS = 3
_TIMEOUT = (10, 60)
_OK, _UNAUTHORIZED = 200, 401


class WireError(Exception):
    """Error: no response, or no token. The message contains no secret and no data."""


@dataclass(frozen=True)
class RawResponse:
    """A response as it was received."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    readings: Readings = field(default=DEFAULT_READINGS, repr=False)

    @cached_property
    def json(self) -> Any:
        """The decoded body with exact numbers; None if it is no JSON."""
        try:
            return money.decode(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def raw(self) -> dict[str, Any]:
        """The decoded body if it is an object, else an empty one."""
        return self.json if isinstance(self.json, dict) else {}

    @cached_property
    def object(self) -> dict[str, Any]:
        """The same, with the names and words of the default profile."""
        return to_defaults(self.raw, self.readings)


def get_token(target: Target, calls: CallReadings = DEFAULT_READINGS.calls, scope: str | None = None) -> RawResponse:
    """Send the token call."""
    credentials = ClientCredentials(target.auth_url, target.client_id, target.client_secret, scope)
    request = credentials.request(calls)
    with _session() as session:
        return _send(session, "POST", request.url, request.headers, request.body)


class Wire:
    """Raw calls under one client number.

    :param wait: called with the seconds to wait; sleeps, or advances a sandbox's clock.
    :param readings: profile that is known so far. It may be replaced while more is observed.
    """

    def __init__(
        self, target: Target, wait: Callable[[float], object] = time.sleep, readings: Readings = DEFAULT_READINGS
    ) -> None:
        self.target = target
        self.wait = wait
        self.token = ""
        self.readings = readings
        #: Statuses after which a read was retried.
        self.temporary_errors: list[int] = []
        self._session = _session()
        self._clients: dict[Readings, ArmClient] = {}

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all sessions."""
        for client in self._clients.values():
            client.close()
        self._session.close()

    @property
    def client(self) -> ArmClient:
        """The package's client, with the current profile."""
        if self.readings not in self._clients:
            target = self.target
            credentials = ClientCredentials(target.auth_url, target.client_id, target.client_secret, self._scope)
            self._clients[self.readings] = ArmClient(
                target.base_url, credentials, client_no=target.client_no, user_id=target.user_id, readings=self.readings
            )
        return self._clients[self.readings]

    @property
    def _scope(self) -> str | None:
        return None if self.readings.calls.token_scope else self.target.scope

    def get(
        self,
        *path: str,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        exact: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> RawResponse:
        """Send a GET for a path under the client number.

        :param token: sent instead of the own one, without retries; empty: send none.
        :param exact: parameters that are sent as they are.
        :param params: with the default names, for which the names of the profile are sent.
        :raises WireError: no response.
        """
        names = request_names(self.readings)
        sent = {names.get(name, name): value for name, value in params.items()} | dict(exact or {})
        return self.get_url(self._url(path), token=token, headers=headers, params=sent)

    def get_url(
        self,
        url: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> RawResponse:
        """Send a GET; see :meth:`get`."""
        for _ in range(_ATTEMPTS):
            response = self._once("GET", url, token=token, headers=headers, params=params)
            if token is not None:
                break
            if response.status == _UNAUTHORIZED:
                self.token = ""
            elif response.status in TEMPORARY_STATUSES:
                self.temporary_errors.append(response.status)
                self.wait(2)
            else:
                break
        return response

    def write(self, method: str, path: str, operation: str, record: Any) -> RawResponse:
        """Send a record or a batch in the body of an operation, without retries."""
        key: str | None = getattr(self.readings.record_keys, operation)
        return self.send(method, path, self.body(key, record))

    def body(self, key: str | None, record: Any, *, metadata: bool = True) -> Any:
        """Build the body of a write; without a key, it is the record itself."""
        if key is None:
            return record
        names = self.readings.write
        user = {names.metadata_key: {names.user_key: self.target.user_id or "verify-real"}}
        return {**(user if metadata else {}), key: record}

    def send(self, method: str, path: str, body: Any, token: str | None = None) -> RawResponse:
        """Send a body, without retries.

        :param token: sent instead of the own one.
        """
        return self._once(method, self._url(tuple(path.split("/"))), body=money.encode(body), token=token)

    def delete(self, *path: str) -> RawResponse:
        """Send a DELETE, without retries."""
        return self._once("DELETE", self._url(path))

    def _url(self, path: tuple[str, ...]) -> str:
        places = "/clients/{client}" + "".join(f"/{{p{number}}}" for number in range(len(path)))
        segments = {f"p{number}": part for number, part in enumerate(path)}
        return self.target.base_url.rstrip("/") + fill_path(places, {"client": self.target.client_no, **segments})

    def _once(
        self,
        method: str,
        url: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
    ) -> RawResponse:
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        token = self.own_token() if token is None else token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        return _send(self._session, method, url, sent, body, params=params, readings=self.readings)

    def own_token(self) -> str:
        """Return the token of the raw calls.

        :raises WireError: the token service returned none.
        """
        if not self.token:
            response = get_token(self.target, self.readings.calls, self._scope)
            self.token = token_in(response)
            if not self.token:
                raise WireError(f"no token: the token service returned {response.status}")
        return self.token


def token_in(response: RawResponse) -> str:
    """Return the access token in a response of the token service; empty if there is none."""
    token = response.raw.get("access_token")
    return token if response.status == _OK and isinstance(token, str) else ""


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
    readings: Readings = DEFAULT_READINGS,
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
    return RawResponse(response.status_code, received, response.content, readings)
