"""The answer of the token service."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from airflow_provider_arm.client.models.base import ArmModel


class Token(ArmModel):
    """A JWT and how long it lives. Snake case on the wire, unlike ARM itself."""

    model_config = ConfigDict(alias_generator=None)

    access_token: str = Field(min_length=1, repr=False)
    token_type: str | None = None
    #: Unix seconds.
    not_before: int | None = None
    #: Seconds.
    expires_in: int | None = None
    #: Unix seconds.
    expires_on: int | None = None
    resource: str | None = None
