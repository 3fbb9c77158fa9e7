"""Operator for payment reservations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.runtime.base_operator import revealed
from airflow_provider_arm.runtime.records import read_record
from airflow_provider_arm.runtime.write_operator import ArmWriteOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg


class PaymentReservationOperator(ArmWriteOperator):
    """Reserve a payment (``POST /clients/{clientno}/paymentreservations``).

    ARM takes each ``paymentId`` once. Whether it refuses a second call with it is assumed, so none is sent unless ARM
    certainly did not take the first; see ``ArmWriteOperator``.

    :param payment_id: the reservation's unique id. Templated. Choose one that a new run of the same payment shares.
    :param reservation: the other fields by ARM's names: a document by ``arItemId``, ``documentNo``, ``documentUuid``,
        ``referenceNo`` or ``kid``, or a customer by ``accountNo``, ``customerNo`` or ``kid``, and the amount; as a
        mapping, as JSON text, or as the address of a ``.json`` file. Templated; its rendered value is not shown.
        Amounts are ``Decimal`` or whole numbers: their key is not published, so text would be sent as text.
    :return: ``{"payment_id", "account_no", "status", "result", "warnings"}``; ``status`` and ``result`` are ARM's
        words, ``warnings`` a list of ``{"field", "message"}`` with personal data masked.
    :raises ArmFailException: the reservation does not fit (nothing was sent), ARM refused it, or nobody knows whether
        ARM took it.
    :raises ArmTransientException: ARM certainly did not take it; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "payment_id", "reservation")
    personal_fields: ClassVar[Sequence[str]] = ("reservation",)

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

    def execute(self, context: Context) -> dict[str, Any]:
        """Reserve the payment."""
        with self._journalled(context) as journal:
            given = read_record(revealed(self.reservation), "reservation")
            if "paymentId" in given or "payment_id" in given:
                msg = "reservation must not hold paymentId: payment_id is its place"
                raise ArmConfigurationError(msg)
            wire, answer = self._write_record(
                context,
                journal,
                operation="create_payment_reservation",
                record={**given, "paymentId": self.payment_id},
                key="paymentId",
                what="payment reservation",
            )
        return {"payment_id": wire["paymentId"], **answer}
