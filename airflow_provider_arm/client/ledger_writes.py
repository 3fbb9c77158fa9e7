"""Calls that create bookings. None of them may simply be repeated, whatever its HTTP method."""

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
    from airflow_provider_arm.client.models.file import FilesResponse


class LedgerWrites:
    """Booking calls of a client.

    If the response is lost, a call raises :class:`ArmUnknownOutcomeError`: check in ARM before sending it again.
    """

    _endpoints: Endpoints

    def create_document(self, document: Record) -> WriteResponse:
        """Create one document (``POST``; the path is assumed). Its ``documentNo`` is the natural key.

        :raises InvalidRecordError: it does not fit the model; nothing was sent.
        :raises ArmValidationError: ARM rejected it.
        :raises ArmUnknownOutcomeError: ARM may or may not have booked it.
        """
        return self._write_one("create_document", document)

    def create_payment_reservation(self, reservation: Record) -> WriteResponse:
        """Create a payment reservation (``POST``). Its ``paymentId`` is unique. Raises as :meth:`create_document`."""
        return self._write_one("create_payment_reservation", reservation)

    def update_ar_item(self, changes: Record) -> WriteResponse:
        """Update the AR item ``arItemId`` (``PUT``), or create a credit note. Raises as :meth:`create_document`."""
        return self._write_one("update_ar_item", changes)

    def upload_files(self, files: Sequence[Record]) -> FilesResponse:
        """Upload files (``POST``), each with ``file_name`` and ``content``, the base64 of its bytes.

        :return: one result per file; ARM may accept some of them and refuse others (207).
        :raises InvalidRecordError: a file has no name or no content; nothing was sent.
        :raises ArmUnknownOutcomeError: ARM may or may not have stored them.
        """
        operation = self._endpoints.operation("upload_files")
        if not files:
            raise ArmConfigurationError(f"an upload needs at least one file ({operation.label})")
        request = self._endpoints.write_request(operation, to_wire_list(operation.record, files))
        return self._read(request, request.record)  # type: ignore[no-any-return]

    def create_auto_postings(
        self, method: str, postings: Sequence[Record], *, validate_only: bool = False
    ) -> AutoPostingsResponse:
        """Create a set of auto postings (``POST``), of which ARM accepts all or none.

        :param method: ARM's name for the kind of posting: the last part of the path.
        :param validate_only: have ARM validate the set and post nothing. A set in which any posting has the option
            ``validateOnly`` is only validated, too. A validation is safe to repeat, so it is retried.
        :raises InvalidRecordError: a posting does not fit; nothing was sent.
        :raises ArmValidationError: ARM rejected the set; ``errors`` has each posting's reason by its position from 1.
        :raises ArmUnknownOutcomeError: ARM may or may not have posted it.
        """
        operation = self._endpoints.operation("create_auto_postings")
        if not postings:
            raise ArmConfigurationError(f"a set needs at least one auto posting ({operation.label})")
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
    """Return whether one of the postings has the option ``validateOnly``, so that ARM posts nothing of the set."""
    return any(AutoPosting.from_wire(posting).validates_only for posting in postings)
