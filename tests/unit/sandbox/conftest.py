"""Fixtures of the sandbox tests: a running sandbox, and a caller with a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox import ArmSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The customer and the document of the reference, reduced to what the tests need.
CUSTOMER: dict[str, Any] = {
    "customerNo": "700001",
    "name": "Kari Syntetisk",
    "postalAddress": {"addressLine1": "Storgata 1", "postalCode": "0150", "cityName": "Oslo", "countryCode": "NO"},
    "emailAddressDocument": ["kari@example.com"],
    "currency": "NOK",
    "dueDays": 14,
}

DOCUMENT: dict[str, Any] = {
    "documentType": "IN",
    "customerNo": "543210",
    "documentNo": "77000001",
    "documentDate": "2025-11-03",
    "dueDate": "2025-11-17",
    "currency": "NOK",
    "currencyAmounts": {"exclVat": 800, "vat": 200, "inclVat": 1000},
}


class Caller:
    """Caller of the sandbox with a valid token, on a real socket."""

    def __init__(self, box: ArmSandbox) -> None:
        self.box = box
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.token()}"

    def token(self) -> str:
        """Return a new token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.box.client_id,
            "client_secret": self.box.client_secret,
        }
        return str(requests.post(self.box.auth_url, data=form, timeout=10).json()["access_token"])

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """Send a request; *path* is under the client, or absolute."""
        address = path if path.startswith("http") else f"{self.box.base_url}/clients/{self.box.client_no}/{path}"
        if body is not None:
            more["data"] = body if isinstance(body, bytes) else money.encode(body)
            more.setdefault("headers", {})["Content-Type"] = "application/json"
        return self.session.request(method, address, timeout=10, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        """Send a GET."""
        return self.call("GET", path, **more)

    def write(self, method: str, path: str, key: str, record: Any) -> requests.Response:
        """Send a record or a batch in its envelope."""
        return self.call(method, path, {"metadata": {"userId": "tester"}, key: record})

    def batch(self, resource: str, records: list[Any], method: str = "POST") -> requests.Response:
        """Submit a batch and poll it once."""
        receipt = self.write(method, f"{resource}/batches", resource, records).json()
        return self.get(f"batches/{receipt['batchUuid']}")

    def item(self, item_id: str) -> Any:
        """Return an AR item with exact numbers."""
        return money.decode(self.get(f"aritems/{item_id}").content)


@pytest.fixture(scope="module")
def running() -> Iterator[ArmSandbox]:
    """Yield one server for the tests of a module."""
    with ArmSandbox(seed=7, ar_items=60, batch_delay=0) as box:
        yield box


@pytest.fixture
def box(running: ArmSandbox) -> ArmSandbox:
    """Return the server after a reset."""
    running.reset()
    return running


@pytest.fixture
def caller(box: ArmSandbox) -> Caller:
    """Return a caller with a token."""
    return Caller(box)


@pytest.fixture
def caller_of() -> type[Caller]:
    """Return the class, to build a caller for another sandbox."""
    return Caller


@pytest.fixture
def customer() -> dict[str, Any]:
    """Return a customer to write."""
    return json.loads(json.dumps(CUSTOMER))


@pytest.fixture
def document() -> dict[str, Any]:
    """Return a document to write."""
    return json.loads(json.dumps(DOCUMENT))


@pytest.fixture
def example():
    """Return a function that reads one of ARM's documented examples."""
    folder = Path(__file__).parents[2] / "data" / "arm_examples"

    def read(name: str) -> bytes:
        return (folder / name).read_bytes()

    return read
