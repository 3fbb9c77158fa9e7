"""Operators for one customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.client.errors import ArmNotFoundError
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.runtime.base_operator import ArmBaseOperator, revealed
from airflow_provider_arm.runtime.records import read_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg


class CustomerUpsertOperator(ArmBaseOperator):
    """Create a customer, or update the one that has its number (``POST /clients/{clientno}/customers``).

    ARM processes it at once. Repeating it is safe. Keys that are missing keep what ARM has; a postal address must be
    given whole, because ARM would blank the rest of it.

    :param customer: the customer by ARM's field names (``customerNo``, ``name``, ...), as a mapping, as JSON text, or
        as the address of a ``.json`` file (local, ``s3://``, ...) that holds one. Templated; its rendered value is
        not shown. A mapping that is written out in the DAG file stands in Airflow's database with the DAG: prefer a
        file or another task's output for real people. Amounts are ``Decimal``, whole numbers or text, never floats.
    :return: ``{"customer_no", "account_no", "result", "warnings"}``; ``result`` is ARM's word (``CREATED``, ...),
        ``warnings`` a list of ``{"field", "message"}`` with personal data masked.
    :raises ArmFailException: the customer does not fit (nothing was sent), or ARM refused it.
    :raises ArmTransientException: ARM could not answer; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmBaseOperator.template_fields, "customer")
    personal_fields: ClassVar[Sequence[str]] = ("customer",)

    def __init__(self, *, customer: Mapping[str, Any] | str | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.customer = customer

    def execute(self, context: Context) -> dict[str, Any]:
        """Upsert the customer."""
        from airflow_provider_arm.runtime.write_results import written

        with translate_arm_errors():
            record = read_record(revealed(self.customer), "customer")
            answer = self.hook.client.upsert_customer(record)
        self.log.info("Customer %s: %s", answer.customer_no or record.get("customerNo"), answer.result)
        return written(answer, record)


class CustomerDeleteOperator(ArmBaseOperator):
    """Delete a customer (``DELETE /clients/{clientno}/customers/{customerno}``).

    ARM allows it only for a customer without documents and AR items.

    :param customer_no: the customer's number. Templated.
    :param options: passed through to ARM as ``options``. Templated.
    :param ignore_if_missing: a customer that ARM does not know is no failure; default ``False``. A retry of a delete
        whose answer was lost meets exactly this.
    :return: as :class:`CustomerUpsertOperator`; ``result`` is ``"MISSING"`` where there was none.
    :raises ArmFailException: ARM refused, or does not know the customer.
    """

    template_fields: Sequence[str] = (*ArmBaseOperator.template_fields, "customer_no", "options")

    def __init__(
        self, *, customer_no: str | XComArg, options: str | None = None, ignore_if_missing: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.customer_no: Any = customer_no
        self.options = options
        self.ignore_if_missing = ignore_if_missing

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the customer."""
        from airflow_provider_arm.runtime.write_results import written

        with translate_arm_errors():
            try:
                answer = self.hook.client.delete_customer(self.customer_no, options=self.options)
            except ArmNotFoundError:
                if not self.ignore_if_missing:
                    raise
                self.log.info("Customer %s: not in ARM, nothing to delete", self.customer_no)
                return {"customer_no": self.customer_no, "account_no": None, "result": "MISSING", "warnings": []}
        self.log.info("Customer %s: %s", self.customer_no, answer.result)
        return written(answer, {"customerNo": self.customer_no})
