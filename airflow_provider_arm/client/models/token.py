"""Response of the token service."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from airflow_provider_arm.client.models.base import ArmModel


class Token(ArmModel):
    """A JWT and its lifetime. Field names are snake_case on the wire, unlike ARM's."""

    model_config = ConfigDict(alias_generator=None)

    access_token: str = Field(min_length=1, repr=False)
    token_type: str | None = None
    #: Start of validity in unix seconds.
    not_before: int | None = None
    #: Lifetime in seconds.
    expires_in: int | None = None
    #: End of validity in unix seconds.
    expires_on: int | None = None
    resource: str | None = None
