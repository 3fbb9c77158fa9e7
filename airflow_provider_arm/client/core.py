"""Base class of both clients, which differ only in how they send a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_arm.client.endpoints import Endpoints
from airflow_provider_arm.client.http.auth import ClientCredentials, StaticToken, TokenCache
from airflow_provider_arm.client.http.exchange import CallPolicy
from airflow_provider_arm.client.http.failures import request_id
from airflow_provider_arm.client.http.retry import Clock, RetryPolicy, SystemClock
from airflow_provider_arm.client.http.transport import Transport
from airflow_provider_arm.client.http.urls import BaseUrl, check_url
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.client.http.messages import Request, Response, TransportFailure


class ClientCore:
    """Base URL, credentials and policies of one client.

    :param base_url: URL of the API, such as ``https://api.staging.amili.no/arm/v1``.
    :param credentials: client ID and secret with the URL of the token service, or an existing token.
    :param client_no: client number of the ledger to use; calls under ``/clients/`` need it.
    :param user_id: user that ARM records for writes.
    :param transport: timeouts (default 30 seconds without a byte) and certificates to trust.
    :param readings: profile of what ARM's reference leaves open; default :data:`DEFAULT_READINGS`.
    :param retry: number of attempts of a call and the delays between them; default 5 attempts within 60 seconds.
    :param clock: source of time; tests replace it.
    :param connection: name of the connection, such as its id in Airflow, for messages.
    :param on_token: called with every new token, to mask it in logs.
    :param on_attempt: called after every attempt with its request and its response or failure, for metrics.
    :raises ArmConfigurationError: a URL is not usable (see ``client.http.urls``).
    """

    def __init__(
        self,
        base_url: str,
        credentials: ClientCredentials | StaticToken,
        *,
        client_no: int | None = None,
        user_id: str | None = None,
        transport: Transport | None = None,
        readings: Readings = DEFAULT_READINGS,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        connection: str | None = None,
        on_token: Callable[[str], object] | None = None,
        on_attempt: Callable[[Request, Response | TransportFailure], object] | None = None,
    ) -> None:
        if isinstance(credentials, ClientCredentials):
            check_url(credentials.auth_url, "auth_url of the connection")
        self._endpoints = Endpoints(BaseUrl.parse(base_url), client_no, user_id, readings, connection)
        self._credentials = credentials
        self._transport = transport or Transport()
        self._policy = CallPolicy(retry or RetryPolicy(), clock or SystemClock(), readings, connection, on_attempt)
        self._token_cache = TokenCache(on_token)
        self._prepare()

    def _prepare(self) -> None:
        """Initialize what sending needs, such as locks and sessions. Opens no connection."""

    @property
    def base_url(self) -> str:
        """Base URL of the API."""
        return self._endpoints.base.url

    @property
    def client_no(self) -> int | None:
        """Client number of the ledger that this client uses."""
        return self._endpoints.client_no

    @property
    def readings(self) -> Readings:
        """Readings profile that this client follows."""
        return self._policy.readings

    def request_id(self, response: Response) -> str | None:
        """Return ARM's identifier of a request, from the headers that the readings profile names."""
        return request_id(response, self.readings)
