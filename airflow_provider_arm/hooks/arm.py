"""The hook for connections of type ``arm``."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_arm.client.errors import ArmConfigurationError, ArmError
from airflow_provider_arm.hooks.settings import ArmSettings, parse_client_no, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.client import ArmClient, AsyncArmClient

#: Seconds and attempts of the connection form's Test button: a user waits for the result.
_TEST_TIMEOUT = 10.0
_TEST_ATTEMPTS = 2


class ArmHook(BaseHook):
    """Hook that creates ARM clients from an Airflow connection of type ``arm``.

    Creating the hook neither reads the connection nor connects to ARM.

    :param arm_conn_id: id of the connection; default ``arm_default``. Its fields: host = base URL, login = client ID,
        password = client secret; extra ``client_no``, ``auth_url``, ``user_id``, ``scope``, ``access_token``,
        ``timeout``, ``ca_bundle``, ``readings``.
    :param client_no: client number of the ledger to use; default: the connection's.
    :param user_id: user that ARM records for changes; default: the connection's.
    """

    conn_name_attr = "arm_conn_id"
    default_conn_name = "arm_default"
    conn_type = "arm"
    hook_name = "ARM (accounts receivable)"

    def __init__(
        self,
        arm_conn_id: str = default_conn_name,
        *,
        client_no: int | str | None = None,
        user_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arm_conn_id = arm_conn_id
        self._client_no = client_no
        self._user_id = user_id

    @cached_property
    def settings(self) -> ArmSettings:
        """Settings from the connection, validated.

        :raises ArmConfigurationError: a field is missing or invalid.
        """
        conn = self.get_connection(self.arm_conn_id)
        return read_settings(conn, conn.extra_dejson)

    @cached_property
    def client(self) -> ArmClient:
        """The client, created on first use. Every token that it gets is masked in Airflow's logs."""
        from airflow_provider_arm.client import ArmClient

        settings = self.settings
        with self._named_errors():
            return ArmClient(**self._client_arguments(settings))

    def get_conn(self) -> ArmClient:
        """Return :attr:`client`, as the hooks of Airflow do."""
        return self.client

    async def get_async_client(self) -> AsyncArmClient:
        """Create a client for the running event loop. The caller closes it (``async with``)."""
        return self.make_async_client(await self.aread_settings())

    def make_async_client(self, settings: ArmSettings) -> AsyncArmClient:
        """Create a client from settings that were read before. An event loop must be running."""
        from airflow_provider_arm.client import AsyncArmClient

        with self._named_errors():
            return AsyncArmClient(**self._client_arguments(settings))

    async def aread_settings(self) -> ArmSettings:
        """Read the connection without blocking the event loop. Raises as :attr:`settings`."""
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
        from airflow.providers.common.compat.sdk import AirflowNotFoundException
        from asgiref.sync import sync_to_async

        try:
            conn = await get_async_connection(self.arm_conn_id)
        except AirflowNotFoundException:
            # Under `airflow dags test` only the synchronous call reaches a connection in Airflow's database.
            conn = await sync_to_async(self.get_connection)(self.arm_conn_id)
        # In a thread: the readings profile may be in a file, and the models take a while to import.
        return await asyncio.to_thread(read_settings, conn, await get_async_extra_dejson(conn))

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Add the connection to the message of an invalid setting that the client finds."""
        try:
            yield
        except ArmConfigurationError as error:
            raise ArmConfigurationError(f"connection {self.arm_conn_id!r}: {error}", phase=error.phase) from None

    def _client_arguments(self, settings: ArmSettings, timeout: float | None = None) -> dict[str, Any]:
        from airflow.providers.common.compat.sdk import mask_secret

        from airflow_provider_arm.client import ClientCredentials, StaticToken, Transport
        from airflow_provider_arm.hooks.metrics import count_request

        credentials: ClientCredentials | StaticToken
        # Airflow has masked them as they are stored, which may be with white space around them.
        if settings.access_token is not None:
            credentials = StaticToken(settings.access_token)
            mask_secret(settings.access_token)
        elif settings.auth_url and settings.client_id and settings.client_secret:
            credentials = ClientCredentials(
                settings.auth_url, settings.client_id, settings.client_secret, settings.scope
            )
            mask_secret(settings.client_secret)
        else:  # cannot happen: read_settings requires credentials
            raise ArmConfigurationError(f"connection {self.arm_conn_id!r} has no credentials")
        seconds = timeout or settings.timeout
        transport = Transport(ca_bundle=settings.ca_bundle, **({"timeout": seconds} if seconds else {}))
        return {
            "base_url": settings.base_url,
            "credentials": credentials,
            "client_no": parse_client_no(self._client_no) or settings.client_no,
            "user_id": self._user_id or settings.user_id,
            "transport": transport,
            "readings": settings.readings,
            "connection": self.arm_conn_id,
            "on_token": mask_secret,
            "on_attempt": count_request,
        }

    def test_connection(self) -> tuple[bool, str]:
        """Get a token and read one customer. Return whether this worked, and if not, what to do. Shows no secret."""
        from airflow_provider_arm.client import ArmClient
        from airflow_provider_arm.client.http.retry import RetryPolicy

        try:
            settings = self.settings
            with self._named_errors():
                arguments = self._client_arguments(settings, timeout=_TEST_TIMEOUT)
                client = ArmClient(**arguments, retry=RetryPolicy(max_attempts=_TEST_ATTEMPTS))
            with client:
                if client.client_no is None:
                    return (
                        False,
                        "The connection has no client_no in its extra: only tasks that set client_no can use it.",
                    )
                client.check()
        except ArmError as error:
            return False, str(error)
        return True, f"Connected to ARM for client {client.client_no}."

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the connection form for Airflow 3.1 and 3.2; Airflow 3.3 reads the provider's metadata."""
        from airflow_provider_arm.get_provider_info import FIELD_BEHAVIOUR

        return {name.replace("-", "_"): value for name, value in FIELD_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields for Airflow 3.1 and 3.2; Airflow 3.3 reads the provider's metadata."""
        from wtforms import IntegerField, PasswordField, StringField

        from airflow_provider_arm.get_provider_info import EXTRA_FIELDS

        # The form of Airflow 3.1 supports integers only.
        fields = {"integer": IntegerField, "number": IntegerField, "string": StringField}
        widgets = {}
        for name, spec in EXTRA_FIELDS.items():
            schema = spec["schema"]
            field = PasswordField if schema.get("format") == "password" else fields[schema["type"][0]]
            widgets[name] = field(spec["label"], description=spec["description"])
        return widgets
