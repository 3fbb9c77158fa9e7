"""What both clients are made of; only how they put a request on the wire differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS, Assumptions
from airflow_provider_arm.client.endpoints import Endpoints
from airflow_provider_arm.client.http.auth import ClientCredentials, StaticToken, TokenCache
from airflow_provider_arm.client.http.exchange import CallPolicy
from airflow_provider_arm.client.http.retry import Clock, RetryPolicy, SystemClock
from airflow_provider_arm.client.http.transport import Transport
from airflow_provider_arm.client.http.urls import BaseUrl, check_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.client.http.messages import Request, Response, TransportFailure


class ClientCore:
    """Address, credentials and rules of one client.

    :param base_url: such as ``https://api.staging.amili.no/arm/v1``.
    :param credentials: client id and secret with the address of the token call, or a ready token.
    :param client_no: the ARM client whose ledger is meant; calls under ``/clients/`` need it.
    :param user_id: the user that ARM notes for writes.
    :param transport: time limits (default 30 seconds without a byte) and certificates to trust.
    :param assumptions: other readings of what ARM's reference does not say.
    :param retry: how often and how far apart a call is tried; default 5 times within 60 seconds.
    :param clock: where time comes from; tests move it.
    :param on_token: called with every new token, to mask it in logs.
    :param on_attempt: called with every attempt's request and what came of it, to count them.
    :raises ArmConfigurationError: an address is not usable (see ``client.http.urls``).
    """

    def __init__(
        self,
        base_url: str,
        credentials: ClientCredentials | StaticToken,
        *,
        client_no: int | None = None,
        user_id: str | None = None,
        transport: Transport | None = None,
        assumptions: Assumptions = DEFAULT_ASSUMPTIONS,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        on_token: Callable[[str], object] | None = None,
        on_attempt: Callable[[Request, Response | TransportFailure], object] | None = None,
    ) -> None:
        if isinstance(credentials, ClientCredentials):
            check_url(credentials.auth_url, "auth_url of the connection")
        self._endpoints = Endpoints(BaseUrl.parse(base_url), client_no, user_id)
        self._credentials = credentials
        self._transport = transport or Transport()
        told = {"observe": on_attempt} if on_attempt else {}
        self._rules = CallPolicy(retry or RetryPolicy(), clock or SystemClock(), assumptions, **told)
        self._keeper = TokenCache(on_token)
        self._prepare()

    def _prepare(self) -> None:
        """Make what putting requests on the wire needs; connects to nothing."""

    @property
    def base_url(self) -> str:
        """ARM's base URL."""
        return self._endpoints.base.url

    @property
    def client_no(self) -> int | None:
        """The ARM client whose ledger is meant."""
        return self._endpoints.client_no

    @property
    def assumptions(self) -> Assumptions:
        """The readings of ARM that this client goes by."""
        return self._rules.assumptions
