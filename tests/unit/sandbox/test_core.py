"""Several client numbers in one sandbox."""

from __future__ import annotations

import threading

import pytest
import requests

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox import ArmSandbox

CLIENTS = [2218, 2219, 77]


@pytest.fixture(scope="module")
def running():
    """Yield one server with several client numbers for the tests of this module."""
    with ArmSandbox(seed=7, ar_items=60, clients=CLIENTS, batch_delay=0) as box:
        yield box


@pytest.fixture
def call(box, caller):
    """Return a function that calls a path under a client number."""

    def send(client_no, method, path, body=None):
        return caller.call(method, f"{box.base_url}/clients/{client_no}/{path}", body)

    return send


def _customer(customer_no, name="Kari Syntetisk"):
    return {"metadata": {"userId": "tester"}, "customer": {"customerNo": customer_no, "name": name}}


def _all(call, client_no, path, key):
    return money.decode(call(client_no, "GET", f"{path}?maximumcount=10000&pagesize=1000").content)[key]


def test_customer_of_one_client_number_is_404_under_another(box, call):
    """The effect log of the other client number has no effect either."""
    assert call(2218, "POST", "customers", _customer("C1")).status_code == 201
    assert [call(number, "GET", "customers/C1").status_code for number in CLIENTS] == [200, 404, 404]
    assert call(2219, "DELETE", "customers/C1").status_code == 404
    assert call(2219, "POST", "customers", _customer("C1", "Another Person")).status_code == 201
    assert money.decode(call(2218, "GET", "customers/C1").content)["name"] == "Kari Syntetisk"
    assert [box.ledger(number)["customers"].get("C1", {}).get("what") for number in CLIENTS] == [
        ["created"],
        ["created"],
        None,
    ]
    assert [box.totals(number)["customers"] for number in CLIENTS] == [11, 11, 10]


def test_batch_and_query_of_one_client_number_are_unknown_to_another(box, call, document):
    """A document with the same number is booked once under each."""
    batch = {"metadata": {"userId": "tester"}, "documents": [document]}
    receipts = {number: call(number, "POST", "documents/batches", batch).json() for number in CLIENTS}
    assert len({receipt["batchUuid"] for receipt in receipts.values()}) == len(CLIENTS)
    for asked in CLIENTS:
        statuses = {n: call(asked, "GET", f"batches/{receipts[n]['batchUuid']}").status_code for n in CLIENTS}
        assert statuses == {number: 200 if number == asked else 404 for number in CLIENTS}
        assert box.ledger(asked)["documents"][document["documentNo"]]["effects"] == 1
    first_page = call(2218, "GET", "aritems?maximumcount=50&pagesize=10").json()["summary"]
    assert "/clients/2218/" in first_page["nextPage"]
    stolen = first_page["nextPage"].replace("/clients/2218/", "/clients/2219/")
    assert call(2218, "GET", first_page["nextPage"].partition("/clients/2218/")[2]).status_code == 200
    assert call(2219, "GET", stolen.partition("/clients/2219/")[2]).status_code == 404


def test_data_depends_on_seed_and_client_number_only(box, call, caller_of):
    """The same client number alone in a sandbox has the same records; another one has others."""
    lists = (("customers", "customers"), ("aritems", "arItems"), ("documents", "documents"), ("glitems", "glItems"))
    found = {number: [_all(call, number, path, key) for path, key in lists] for number in CLIENTS}
    for number, records in found.items():
        assert {record["clientNo"] for one_list in records for record in one_list} == {number}
        with ArmSandbox(seed=7, ar_items=60, client_no=number) as alone:
            caller = caller_of(alone)
            here = [money.decode(caller.get(f"{p}?maximumcount=10000&pagesize=1000").content)[k] for p, k in lists]
        assert here == records
    names = [{customer["name"] for customer in records[0]} for records in found.values()]
    assert len(names[0] & names[1]) < len(names[0]) / 2
    sums = [box.totals(number)["currencies"]["NOK"]["currencyAmount"] for number in CLIENTS]
    assert len(set(sums)) == len(CLIENTS)


def test_client_numbers_written_in_parallel_do_not_mix(box, caller_of):
    """Every customer is created once, under its own client number; all requests are in one log."""
    failures = []

    def work(client_no, thread):
        caller = caller_of(box)
        for turn in range(10):
            body = _customer(f"P{thread}-{turn}", f"Client {client_no}")
            response = caller.call("POST", f"{box.base_url}/clients/{client_no}/customers", body)
            if response.status_code != 201:
                failures.append(response.text)

    threads = [threading.Thread(target=work, args=(no, n)) for no in CLIENTS for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    numbers = []
    for client_no in CLIENTS:
        entries = box.ledger(client_no)["customers"]
        assert {key: entry["effects"] for key, entry in entries.items()} == {
            f"P{n}-{turn}": 1 for n in range(4) for turn in range(10)
        }
        numbers += [number for entry in entries.values() for number in entry["requests"]]
    assert len(set(numbers)) == len(CLIENTS) * 40
    assert {box.requests(n=number)[0]["status"] for number in numbers} == {201}


def test_admin_paths_accept_a_client_number(box, call):
    """The first one is the default, and an unknown one is refused by name."""
    call(2219, "POST", "customers", _customer("C2"))
    admin = f"{box.url}/__sandbox__"
    effects = [
        requests.get(f"{admin}/ledger{query}", timeout=5).json()["customers"] for query in ("", "?client_no=2219")
    ]
    assert [list(found) for found in effects] == [[], ["C2"]]
    shown = requests.get(f"{admin}/overview?client_no=2219", timeout=5).json()
    assert (shown["client_no"], shown["clients"]) == (2219, CLIENTS)
    assert shown["customers"][0]["customerNo"] == "C2"
    assert '"client_no": 2219' in shown["connection"]
    for path in ("ledger", "totals", "overview"):
        refused = requests.get(f"{admin}/{path}?client_no=1", timeout=5)
        assert refused.status_code == 400
        assert "1 is not a client number of this sandbox, which has 2218, 2219, 77" in refused.json()["error"]


def test_reset_restores_every_client_number(box, call):
    """The data is that of the start."""
    before = [box.totals(number) for number in CLIENTS]
    for number in CLIENTS:
        call(number, "POST", "customers", _customer("C3"))
    box.reset()
    assert [box.totals(number) for number in CLIENTS] == before
    assert [box.ledger(number)["customers"] for number in CLIENTS] == [{}, {}, {}]


def test_fault_can_be_restricted_to_one_client_number(box, call):
    """Its path contains the client number."""
    box.fault({"match": {"path": "*/clients/2219/*"}, "do": "status", "status": 503, "times": 0})
    assert [call(number, "GET", "customers").status_code for number in CLIENTS] == [200, 503, 200]
    assert call(2220, "GET", "customers").status_code == 403


def test_state_of_several_client_numbers_is_kept_in_the_folder(tmp_path, caller_of):
    """The folder overrides the argument. A start that was killed between two files is repeated."""
    with ArmSandbox(state_dir=tmp_path, clients=[2218, 2219], ar_items=10):
        pass
    for file in tmp_path.glob("arm-sandbox.sqlite3*"):
        file.unlink()
    with ArmSandbox(state_dir=tmp_path, clients=[2218, 2219], ar_items=20) as box:
        caller_of(box).call("POST", f"{box.base_url}/clients/2219/customers", _customer("C4"))
    with ArmSandbox(state_dir=tmp_path) as box:
        assert box.clients == (2218, 2219)
        assert [list(box.ledger(number)["customers"]) for number in box.clients] == [[], ["C4"]]
        assert caller_of(box).call("GET", f"{box.base_url}/clients/2219/customers/C4").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clients": []}, "clients is empty"),
        ({"clients": [2218, 2218]}, "2218 is listed twice"),
        ({"clients": ["2218"]}, "'2218' is not a client number"),
        ({"clients": [True]}, "True is not a client number"),
        ({"client_no": 0}, "0 is not a client number"),
        ({"client_no": 5, "clients": [2218, 5]}, "client_no is 5, but the first of clients is 2218"),
    ],
)
def test_invalid_client_numbers_are_refused(arguments, message):
    """The error names the number."""
    with pytest.raises(ValueError, match=message):
        ArmSandbox(**arguments)
