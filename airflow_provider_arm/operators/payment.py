"""Operator for payment reservations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import Reader, record
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.runtime.arguments import check_arguments
from airflow_provider_arm.runtime.base_operator import unwrap
from airflow_provider_arm.runtime.records import read_record
from airflow_provider_arm.runtime.rendered import read_key
from airflow_provider_arm.runtime.write_operator import ArmWriteOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg


class PaymentReservationOperator(ArmWriteOperator):
    """Reserve a payment (``POST /clients/{clientno}/paymentreservations``).

    ARM accepts each ``paymentId`` once. That it refuses a second call with it is assumed, so the call is only repeated
    if ARM has certainly not accepted the first one; see ``ArmWriteOperator``.

    :param payment_id: the reservation's unique id: the same for a new run with the same payment. Templated.
    :param reservation: the other fields by ARM's names: a document by ``arItemId``, ``documentNo``, ``documentUuid``,
        ``referenceNo`` or ``kid``, or a customer by ``accountNo``, ``customerNo`` or ``kid``, and the amount; a
        mapping, JSON text, or the path of a ``.json`` file. Templated; the rendered value is not shown. Amounts are
        ``Decimal`` or whole numbers: ARM does not document their field, so text would be sent as text.
    :return: ``{"payment_id", "account_no", "status", "result", "warnings"}``; ``status`` and ``result`` as ARM returns
        them, ``warnings`` a list of ``{"field", "message"}`` with personal data masked.
    :raises ArmFailException: the reservation is invalid (nothing was sent), ARM refused it, or the outcome is unknown.
    :raises ArmTransientException: ARM has certainly not accepted it; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "payment_id", "reservation")
    personal_fields: ClassVar[Sequence[str]] = ("reservation",)
    argument_readers: ClassVar[Mapping[str, Reader]] = {**ArmWriteOperator.argument_readers, "reservation": record}

    def __init__(
        self,
        *,
        payment_id: str | XComArg,
        reservation: Mapping[str, Any] | str | XComArg,
        on_unknown_outcome: Literal["fail", "resend"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(on_unknown_outcome=on_unknown_outcome, **kwargs)
        self.payment_id = payment_id
        self.reservation = reservation
        check_arguments(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Reserve the payment."""
        with self._open_journal(context) as journal:
            fields = read_record(unwrap(self.reservation), "reservation")
            if "paymentId" in fields or "payment_id" in fields:
                raise ArmConfigurationError("reservation must not contain paymentId: set payment_id")
            wire, result = self._write_record(
                context,
                journal,
                operation="create_payment_reservation",
                record={**fields, "paymentId": read_key("payment_id", self.payment_id)},
                key="paymentId",
                name="payment reservation",
            )
        return {"payment_id": wire["paymentId"], **result}
