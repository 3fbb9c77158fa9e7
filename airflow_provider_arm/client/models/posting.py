"""Auto postings and payment reservations. Few of their fields are published: the others are kept unchanged."""

from __future__ import annotations

from pydantic import Field

from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.client.models.base import ArmModel, find_only_list
from airflow_provider_arm.client.models.write import WriteResponse

#: Option by which ARM only validates a whole set (documented).
VALIDATE_ONLY = "validateOnly"
#: Documented ``resultType`` of a posting that is valid but belongs to a set that failed.
BATCH_REJECTED = "BATCH-REJECTED"

_NOT_POSTINGS = frozenset({"errors", "warnings"})


class AutoPosting(ArmModel):
    """One posting of a set, of which ARM accepts all postings or none."""

    #: With :data:`VALIDATE_ONLY` on any posting, ARM only validates the whole set.
    options: list[str] | None = None

    @property
    def validates_only(self) -> bool:
        """Whether ARM only validates the set of this posting."""
        return any(fold(option) == fold(VALIDATE_ONLY) for option in self.options or ())


class AutoPostingResponse(WriteResponse):
    """Result of one posting."""

    #: :data:`BATCH_REJECTED` is documented; the other values are not.
    result_type: str | None = None

    @property
    def rejected_with_set(self) -> bool:
        """Whether the posting is valid and was rejected because of other postings of its set."""
        return (self.result_type or "").upper() == BATCH_REJECTED


class AutoPostingsResponse(ArmModel):
    """Response to a set of auto postings. Its body is not published, so every field is optional."""

    status: str | None = None
    message: str | None = None

    def postings(self) -> list[AutoPostingResponse]:
        """Return the results of the postings: the only list besides ``errors`` and ``warnings``, whatever its name.

        :raises InvalidRecordError: a member of the list is not the result of a posting.
        """
        found = find_only_list(self.model_extra or {}, _NOT_POSTINGS)
        return [AutoPostingResponse.from_wire(posting) for posting in found[1]] if found else []

    def statuses(self) -> set[str]:
        """Return all statuses of the set and its postings, in upper case."""
        of_postings = ("REJECTED" if posting.rejected_with_set else posting.status for posting in self.postings())
        return {status.upper() for status in (self.status, *of_postings) if status}


class PaymentReservation(ArmModel):
    """An amount that is reserved for a payment of a document or customer, named by one of its keys (documented)."""

    #: Chosen by the caller, unique (documented): the natural key.
    payment_id: str = Field(min_length=1)
    ar_item_id: str | None = None
    document_no: str | None = None
    document_uuid: str | None = None
    reference_no: int | None = None
    kid: str | None = None
    account_no: int | None = None
    customer_no: str | None = None
