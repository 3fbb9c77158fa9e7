"""Routes of ARM's API: which handler serves which request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_arm.sandbox.api import ar_items, batches, customers, documents, gl_items, payments, titles
from airflow_provider_arm.sandbox.messages import SandboxRequest, SandboxResponse
from airflow_provider_arm.sandbox.state.context import SandboxContext

Handler = Callable[[SandboxContext, SandboxRequest], SandboxResponse]

#: ARM's base path; documented inside ``nextPage``.
BASE_PATH = "/arm/v1"
TOKEN_PATH = "/identity/token"  # noqa: S105 - a path

_CLIENT_PATH = f"{BASE_PATH}/clients/{{clientno}}"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of ARM's API."""

    method: str
    template: str
    handler: Handler
    needs_token: bool = True


ROUTES = (
    Route("GET", f"{BASE_PATH}/health", titles.check_health, needs_token=False),  # assumed, as those at the end
    Route("GET", f"{_CLIENT_PATH}/customers", customers.list_customers),
    Route("POST", f"{_CLIENT_PATH}/customers", customers.post_customer),
    Route("PUT", f"{_CLIENT_PATH}/customers", customers.put_customer),
    Route("POST", f"{_CLIENT_PATH}/customers/batches", batches.submit_customers),
    Route("PUT", f"{_CLIENT_PATH}/customers/batches", batches.submit_customers),
    Route("GET", f"{_CLIENT_PATH}/customers/{{customerno}}", customers.get_customer),
    Route("DELETE", f"{_CLIENT_PATH}/customers/{{customerno}}", customers.delete_customer),
    Route("GET", f"{_CLIENT_PATH}/batches/{{batchuuid}}", batches.get_batch),
    Route("GET", f"{_CLIENT_PATH}/aritems", ar_items.list_ar_items),
    Route("PUT", f"{_CLIENT_PATH}/aritems", ar_items.put_ar_item),
    Route("GET", f"{_CLIENT_PATH}/aritems/{{aritemid}}", ar_items.get_ar_item),
    Route("GET", f"{_CLIENT_PATH}/documents", documents.list_documents),  # assumed: only the title is documented
    Route("POST", f"{_CLIENT_PATH}/documents", documents.post_document),  # assumed: only the title is documented
    Route("POST", f"{_CLIENT_PATH}/documents/batches", batches.submit_documents),
    Route("GET", f"{_CLIENT_PATH}/documents/{{documentno}}", documents.get_document),
    Route("POST", f"{_CLIENT_PATH}/autopostings/{{autopostingmethod}}", payments.post_auto_postings),
    Route("POST", f"{_CLIENT_PATH}/paymentreservations", payments.post_payment_reservation),
    Route("GET", f"{_CLIENT_PATH}/glitems", gl_items.list_gl_items),
    Route("GET", f"{_CLIENT_PATH}/glitems/{{glitemid}}", gl_items.get_gl_item),
    Route("POST", f"{_CLIENT_PATH}/files", titles.post_files),
    # Assumed: only the titles are documented.
    *(
        Route("GET", f"{_CLIENT_PATH}/{path}", handler)
        for path, handler in (titles.HANDLERS | titles.RECORD_HANDLERS).items()
    ),
    Route("POST", f"{_CLIENT_PATH}/actions", titles.post_action),
    Route("POST", f"{_CLIENT_PATH}/actions/reports", titles.post_report),
)


class Router:
    """Lookup of routes by path, fixed segments first. Names are case-sensitive: documented."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        #: Number of segments -> (segments, template, method -> route) of each template.
        self._templates: dict[int, list[tuple[list[str], str, dict[str, Route]]]] = {}
        by_template: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_template.setdefault(route.template, {})[route.method] = route
        for template, methods in sorted(by_template.items(), key=lambda pair: pair[0].count("{")):
            segments = template.strip("/").split("/")
            self._templates.setdefault(len(segments), []).append((segments, template, methods))

    def find(self, request: SandboxRequest) -> tuple[str, dict[str, Route]] | None:
        """Return the template and the routes by method of a path, or ``None``; set ``request.path_parameters``."""
        values = request.path_segments()
        for segments, template, methods in self._templates.get(len(values), ()):
            pairs = list(zip(segments, values, strict=True))
            if all(segment == value or segment[0] == "{" for segment, value in pairs):
                request.path_parameters = {segment[1:-1]: value for segment, value in pairs if segment[0] == "{"}
                return template, methods
        return None
