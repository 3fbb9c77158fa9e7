"""Operators for one customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import Reader, choice, flag, may_be_empty, record, text
from airflow_provider_arm.client.errors import ArmNotFoundError
from airflow_provider_arm.exceptions import translate_arm_errors
from airflow_provider_arm.runtime.arguments import check_arguments, read_arguments
from airflow_provider_arm.runtime.base_operator import ArmBaseOperator, unwrap
from airflow_provider_arm.runtime.records import read_record
from airflow_provider_arm.runtime.rendered import read_key
from airflow_provider_arm.summary import write_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg


class CustomerUpsertOperator(ArmBaseOperator):
    """Create a customer, or update the one with its number (``POST /clients/{clientno}/customers``).

    ARM processes it at once. Repeating it is safe. Fields that are missing keep ARM's values, but a postal address must
    be complete, because ARM would clear its missing fields.

    :param customer: the customer by ARM's field names (``customerNo``, ``name``, ...): a mapping, JSON text, or the
        path of a ``.json`` file (local, ``s3://``, ...). Templated; the rendered value is not shown. A mapping in the
        DAG file is stored in Airflow's database with the DAG: for personal data use a file or another task's output.
        Amounts are ``Decimal``, whole numbers or text, never floats.
    :param action: ``"upsert"``, or ``"update"`` (``PUT``): then the task fails if ARM has no such customer. Default
        ``"upsert"``.
    :return: ``{"customer_no", "account_no", "result", "warnings"}``; ``result`` as ARM returns it (``CREATED``, ...),
        ``warnings`` a list of ``{"field", "message"}`` with personal data masked.
    :raises ArmFailException: the customer is invalid (nothing was sent), or ARM refused it.
    :raises ArmTransientException: ARM is not available; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmBaseOperator.template_fields, "customer")
    personal_fields: ClassVar[Sequence[str]] = ("customer",)
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmBaseOperator.argument_readers,
        "customer": record,
        "action": choice("upsert", "update"),
    }

    def __init__(
        self,
        *,
        customer: Mapping[str, Any] | str | XComArg,
        action: Literal["upsert", "update"] = "upsert",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.customer = customer
        self.action = action
        check_arguments(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create or update the customer."""
        from airflow_provider_arm.runtime.write_results import customer_result

        with translate_arm_errors():
            read_arguments(self)
            customer = read_record(unwrap(self.customer), "customer")
            client = self.hook.client
            send = client.update_customer if self.action == "update" else client.upsert_customer
            result = customer_result(send(customer), customer)
        self.log.info("%s", write_line("customer", result["customer_no"], result))
        return result


class CustomerDeleteOperator(ArmBaseOperator):
    """Delete a customer (``DELETE /clients/{clientno}/customers/{customerno}``).

    ARM allows it only for a customer without documents and AR items.

    :param customer_no: the customer's number. Templated.
    :param options: passed to ARM as ``options``. Templated.
    :param ignore_if_missing: succeed if ARM has no such customer, as a retry finds after a try that was killed. Default
        ``False``. An attempt whose response was lost needs no such permission within a try.
    :return: as :class:`CustomerUpsertOperator`; ``result`` is ``"MISSING"`` if there was no such customer.
    :raises ArmFailException: ARM refused, or has no such customer.
    """

    template_fields: Sequence[str] = (*ArmBaseOperator.template_fields, "customer_no", "options")
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmBaseOperator.argument_readers,
        "options": may_be_empty(text),
        "ignore_if_missing": flag,
    }

    def __init__(
        self, *, customer_no: str | XComArg, options: str | None = None, ignore_if_missing: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.customer_no: Any = customer_no
        self.options = options
        self.ignore_if_missing = ignore_if_missing
        check_arguments(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the customer."""
        from airflow_provider_arm.runtime.write_results import customer_result

        with translate_arm_errors():
            read_arguments(self)
            customer_no = read_key("customer_no", self.customer_no)
            result: dict[str, Any] = {
                "customer_no": customer_no,
                "account_no": None,
                "result": "MISSING",
                "warnings": [],
            }
            try:
                response = self.hook.client.delete_customer(customer_no, options=self.options)
                result = customer_result(response, {"customerNo": customer_no})
            except ArmNotFoundError as error:
                if not (self.ignore_if_missing and error.proves_absence):
                    raise
        self.log.info("%s", write_line("customer", customer_no, result))
        return result
