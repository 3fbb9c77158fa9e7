"""Auto postings and payment reservations. Few of their fields are published: the others are kept as they come."""

from __future__ import annotations

from pydantic import Field

from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.client.models.base import ArmModel, find_only_list
from airflow_provider_arm.client.models.write import WriteResponse

#: The option that turns a whole set into a check (documented); that it stands in ``options`` is assumed.
VALIDATE_ONLY = "validateOnly"
#: The documented word for a posting that is valid by itself in a set that failed.
BATCH_REJECTED = "BATCH-REJECTED"

_NOT_POSTINGS = frozenset({"errors", "warnings"})


class AutoPosting(ArmModel):
    """One posting of a set that ARM takes as a whole or not at all."""

    #: :data:`VALIDATE_ONLY` on any posting turns the whole set into a check.
    options: list[str] | None = None

    @property
    def only_checks(self) -> bool:
        """Whether this posting turns its set into a check."""
        return any(fold(option) == fold(VALIDATE_ONLY) for option in self.options or ())


class AutoPostingResponse(WriteResponse):
    """What ARM says of one posting."""

    #: :data:`BATCH_REJECTED` is documented; the other words are not.
    result_type: str | None = None

    @property
    def only_with_the_set(self) -> bool:
        """Whether it is valid by itself and was refused because of others."""
        return (self.result_type or "").upper() == BATCH_REJECTED


class AutoPostingsResponse(ArmModel):
    """The answer to a set of auto postings. Its body is not published, so all is optional."""

    status: str | None = None
    message: str | None = None

    def postings(self) -> list[AutoPostingResponse]:
        """Give the answers to the postings: whatever its name, they are the one list beside ``errors``.

        :raises InvalidRecordError: a member is none.
        """
        found = find_only_list(self.model_extra or {}, _NOT_POSTINGS)
        return [AutoPostingResponse.from_wire(posting) for posting in found[1]] if found else []

    def words(self) -> set[str]:
        """Give every status word of the set and its postings, in capitals."""
        said = [self.status, *("REJECTED" if one.only_with_the_set else one.status for one in self.postings())]
        return {word.upper() for word in said if word}


class PaymentReservation(ArmModel):
    """An amount that is held for a payment. Names a document or a customer by one of their keys (documented)."""

    #: Chosen by the caller, unique (documented): the natural key.
    payment_id: str = Field(min_length=1)
    ar_item_id: str | None = None
    document_no: str | None = None
    document_uuid: str | None = None
    reference_no: int | None = None
    kid: str | None = None
    account_no: int | None = None
    customer_no: str | None = None
