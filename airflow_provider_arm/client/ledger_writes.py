"""Calls that book something: none of them may be repeated blindly, whatever its verb."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.endpoints import Record, to_wire_list
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import AutoPosting, AutoPostingsResponse, WriteResponse
from airflow_provider_arm.client.models.posting import VALIDATE_ONLY
from airflow_provider_arm.client.operations import Replay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.client.endpoints import Endpoints
    from airflow_provider_arm.client.http.messages import Request


class LedgerWrites:
    """The booking calls of a client. A lost answer is :class:`ArmUnknownOutcomeError`: look before sending again."""

    _endpoints: Endpoints

    def create_document(self, document: Record) -> WriteResponse:
        """POST one document (the path is assumed). Its ``documentNo`` is the natural key.

        :raises InvalidRecordError: it does not fit the model; nothing was sent.
        :raises ArmValidationError: ARM refused it.
        :raises ArmUnknownOutcomeError: ARM may or may not have booked it.
        """
        return self._write_one("create_document", document)

    def create_payment_reservation(self, reservation: Record) -> WriteResponse:
        """POST a payment reservation; its ``paymentId`` is unique. Raises as :meth:`create_document`."""
        return self._write_one("create_payment_reservation", reservation)

    def update_ar_item(self, changes: Record) -> WriteResponse:
        """PUT details of the AR item ``arItemId``; can also create a credit note. Raises as :meth:`create_document`."""
        return self._write_one("update_ar_item", changes)

    def create_auto_postings(
        self, method: str, postings: Sequence[Record], *, validate_only: bool = False
    ) -> AutoPostingsResponse:
        """POST a set of auto postings: ARM takes all of them or none.

        :param method: ARM's name of what is to be posted: the last part of the path.
        :param validate_only: let ARM check the set and post nothing. A set in which any posting has the option
            ``validateOnly`` is a check too. A check may be repeated, and is.
        :raises InvalidRecordError: a posting does not fit; nothing was sent.
        :raises ArmValidationError: ARM refused the set; ``errors`` has each posting's reason by its place from 1.
        :raises ArmUnknownOutcomeError: ARM may or may not have posted it.
        """
        operation = self._endpoints.operation("create_auto_postings")
        if not postings:
            msg = f"a set of no auto postings makes no sense ({operation.label})"
            raise ArmConfigurationError(msg)
        wires = to_wire_list(operation.record, postings)
        if validate_only:
            wires = [wire | {"options": [*(wire.get("options") or ()), VALIDATE_ONLY]} for wire in wires]
        if is_validate_only(wires):
            operation = replace(operation, replay=Replay.SAFE)
        request = self._endpoints.write_request(operation, wires, {"autopostingmethod": method})
        return self._read(request, request.record)  # type: ignore[no-any-return]

    @abstractmethod
    def _write_one(self, name: str, record: Record) -> WriteResponse: ...

    @abstractmethod
    def _read(self, request: Request, record: Any) -> Any: ...


def is_validate_only(postings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one of the postings turns the set into a check: then nothing of it is posted."""
    return any(AutoPosting.from_wire(posting).only_checks for posting in postings)
