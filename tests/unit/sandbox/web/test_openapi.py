import json

import pytest
import requests

from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.api.routes import ROUTES
from airflow_provider_arm.sandbox.cli import main
from airflow_provider_arm.sandbox.web.openapi import document

jsonschema = pytest.importorskip("jsonschema")


def _resolver(spec, name):
    return {**spec["components"]["schemas"][name], "components": spec["components"]}


def test_every_route_is_in_the_document():
    """Each one has a unique name and all responses that it can return."""
    paths = document("http://x")["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES) + 1
    for route in ROUTES:
        assert paths[route.template][route.method.lower()]["summary"]


def test_document_is_served_and_written(box, tmp_path, capsys):
    """It is at /openapi.json, and ``--openapi`` writes it to a file."""
    served = requests.get(f"{box.url}/openapi.json", timeout=5).json()
    assert served["servers"] == [{"url": box.url}]
    assert main(["--openapi", str(tmp_path / "arm.json")]) == 0
    assert json.loads((tmp_path / "arm.json").read_text())["paths"] == served["paths"]


@pytest.mark.parametrize(
    ("name", "schema", "key"),
    [
        ("customer_get_200.json", "Customer", None),
        ("aritem_get_200.json", "ArItem", None),
        ("customer_post_200.json", "WriteResponse", None),
        ("customer_delete_200.json", "WriteResponse", None),
        ("customers_list_200.json", "CustomerList", None),
        ("identity_token_200.json", "Token", None),
        ("customer_post_request.json", "CustomerRequest", None),
        ("documents_batch_post_request.json", "DocumentBatchRequest", None),
    ],
)
def test_documented_examples_are_valid_for_the_document(example, name, schema, key):
    """ARM's examples match the schemas."""
    jsonschema.Draft202012Validator(_resolver(document("http://x"), schema)).validate(json.loads(example(name)))


#: Enough to call each operation with valid and invalid input in some seconds.
EXAMPLES = 20


def test_schemathesis_finds_no_server_error_and_no_undocumented_response(caller_of):
    """It sends some hundred generated calls, valid and invalid."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    from_openapi = pytest.importorskip("schemathesis.specs.openapi.checks")
    wanted = [
        schemathesis.checks.not_a_server_error,
        from_openapi.status_code_conformance,
        from_openapi.content_type_conformance,
        from_openapi.response_schema_conformance,
    ]
    quiet = settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    with ArmSandbox(seed=7, ar_items=30, batch_delay=0) as box:
        caller = caller_of(box)
        headers = {"Authorization": caller.session.headers["Authorization"]}
        known = {
            "customerno": "543210",
            "aritemid": "2218-500002-35078-0",
            "glitemid": "GL-2218-500002-35078-0",
            "documentno": caller.get("documents").json()["documents"][0]["documentNo"],
            "batchuuid": caller.batch("customers", [{"customerNo": "1", "name": "x"}, {}]).json()["batchUuid"],
        }
        calls = 0

        def probe(case):
            nonlocal calls
            calls += 1
            if case.path_parameters and "clientno" in case.path_parameters:
                case.path_parameters["clientno"] = box.client_no
                if calls % 2:
                    case.path_parameters |= {name: known[name] for name in case.path_parameters if name in known}
            case.call_and_validate(headers=headers, checks=wanted)

        for found in schemathesis.openapi.from_url(f"{box.url}/openapi.json").get_all_operations():
            operation = found.ok()
            for mode in schemathesis.GenerationMode:
                if mode is schemathesis.GenerationMode.NEGATIVE and operation.path.endswith("/health"):
                    continue  # nothing in it can be wrong
                quiet(given(case=operation.as_strategy(generation_mode=mode))(probe))()
        assert calls >= len(ROUTES) * EXAMPLES
        assert box.requests(status=500) == []
        assert {200, 201, 202, 206, 400, 401, 404, 422} <= {line["status"] for line in box.requests()}
