"""Response of the token service."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from airflow_provider_arm.client.models.base import ArmModel

#: Seconds above which a lifetime or a unix time is ignored: the year 5138. Milliseconds lie above it.
_MAX_SECONDS = 10**11


def parse_seconds(value: Any) -> int | None:
    """Parse seconds from 1, which may be text or have decimals; return ``None`` for anything else, such as a date."""
    try:
        number = Decimal("" if isinstance(value, bool) else str(value).strip())
        return int(number) if 1 <= number < _MAX_SECONDS else None
    except ArithmeticError:
        return None


#: A call needs only the token itself: a lifetime in another form is ignored, instead of ending every call.
_Seconds = Annotated[int | None, BeforeValidator(parse_seconds)]


class Token(ArmModel):
    """A JWT and its lifetime. Field names are snake_case on the wire, unlike ARM's."""

    model_config = ConfigDict(alias_generator=None)

    access_token: str = Field(min_length=1, repr=False)
    # These three are documented, and not read.
    token_type: Any = None
    not_before: Any = None
    resource: Any = None
    #: Lifetime in seconds.
    expires_in: _Seconds = None
    #: End of validity in unix seconds.
    expires_on: _Seconds = None
