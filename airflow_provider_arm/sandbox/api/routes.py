"""Which handler answers which call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_arm.sandbox.api import ar_items, batches, customers, documents, gl_items, payments
from airflow_provider_arm.sandbox.messages import SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.state.context import SandboxContext

Handler = Callable[[SandboxContext, SandboxRequest], SandboxResponse]

#: ARM's base path; documented inside ``nextPage``.
BASE = "/arm/v1"
TOKEN = "/identity/token"  # noqa: S105 - a path

_CLIENT = f"{BASE}/clients/{{clientno}}"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation."""

    method: str
    template: str
    handler: Handler
    needs_token: bool = True


def _health(_: SandboxContext, __: SandboxRequest) -> SandboxResponse:
    return json_response(200, {"status": "Healthy"})


ROUTES = (
    Route("GET", f"{BASE}/health", _health, needs_token=False),  # assumed: only the title is documented
    Route("GET", f"{_CLIENT}/customers", customers.list_customers),
    Route("POST", f"{_CLIENT}/customers", customers.post_customer),
    Route("PUT", f"{_CLIENT}/customers", customers.put_customer),
    Route("POST", f"{_CLIENT}/customers/batches", batches.submit_customers),
    Route("PUT", f"{_CLIENT}/customers/batches", batches.submit_customers),
    Route("GET", f"{_CLIENT}/customers/{{customerno}}", customers.get_customer),
    Route("DELETE", f"{_CLIENT}/customers/{{customerno}}", customers.delete_customer),
    Route("GET", f"{_CLIENT}/batches/{{batchuuid}}", batches.get_batch),
    Route("GET", f"{_CLIENT}/aritems", ar_items.list_ar_items),
    Route("PUT", f"{_CLIENT}/aritems", ar_items.put_ar_item),
    Route("GET", f"{_CLIENT}/aritems/{{aritemid}}", ar_items.get_ar_item),
    Route("GET", f"{_CLIENT}/documents", documents.list_documents),  # assumed: only the title is documented
    Route("POST", f"{_CLIENT}/documents", documents.post_document),  # assumed: only the title is documented
    Route("POST", f"{_CLIENT}/documents/batches", batches.submit_documents),
    Route("GET", f"{_CLIENT}/documents/{{documentno}}", documents.get_document),
    Route("POST", f"{_CLIENT}/autopostings/{{autopostingmethod}}", payments.post_auto_postings),
    Route("POST", f"{_CLIENT}/paymentreservations", payments.post_payment_reservation),
    Route("GET", f"{_CLIENT}/glitems", gl_items.list_gl_items),
    Route("GET", f"{_CLIENT}/glitems/{{glitemid}}", gl_items.get_gl_item),
)


class Router:
    """Finds the route of a path, fixed segments first. Names are case-sensitive: documented."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        self._paths: dict[int, list[tuple[list[str], str, dict[str, Route]]]] = {}
        by_template: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_template.setdefault(route.template, {})[route.method] = route
        for template, methods in sorted(by_template.items(), key=lambda pair: pair[0].count("{")):
            parts = template.strip("/").split("/")
            self._paths.setdefault(len(parts), []).append((parts, template, methods))

    def find(self, call: SandboxRequest) -> tuple[str, dict[str, Route]] | None:
        """The template and its methods; fills in ``call.values``."""
        given = call.segments()
        for parts, template, methods in self._paths.get(len(given), ()):
            if all(part == value or part[0] == "{" for part, value in zip(parts, given, strict=True)):
                pairs = zip(parts, given, strict=True)
                call.values = {part[1:-1]: value for part, value in pairs if part[0] == "{"}
                return template, methods
        return None
