import datetime as dt
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.core import Core, SeedOptions
from airflow_provider_arm.sandbox.messages import SandboxRequest


def test_every_response_has_the_sandbox_header(box, caller):
    """This includes errors, admin responses and responses to invalid requests."""
    for response in (
        caller.get("customers/543210"),
        caller.get("nope"),
        requests.get(f"{box.url}/__sandbox__/clock", timeout=5),
    ):
        assert response.headers["X-ARM-Sandbox"] == "1"
    with socket.create_connection(("127.0.0.1", int(box.url.rpartition(":")[2])), timeout=5) as line:
        line.sendall(b"nonsense\r\n\r\n")
        assert b"x-arm-sandbox: 1" in line.recv(4096)


def test_token_response_has_the_documented_keys(box, example):
    """The token expires an hour after the sandbox's current time."""
    form = {"grant_type": "client_credentials", "client_id": box.client_id, "client_secret": box.client_secret}
    box.set_time(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    body = requests.post(box.auth_url, data=form, timeout=5).json()
    assert list(body) == list(json.loads(example("identity_token_200.json")))
    assert (body["expires_in"], body["not_before"], body["expires_on"]) == (3600, 1767225600, 1767229200)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "wrong"}, 401),
        ({"grant_type": "client_credentials"}, 401),
        ({"grant_type": "password"}, 400),
        ({}, 400),
    ],
)
def test_wrong_credentials_return_an_oauth_error(box, form, status):
    """The error of the token call has OAuth's format."""
    response = requests.post(box.auth_url, data=form, timeout=5)
    assert response.status_code == status
    assert "error" in response.json()


def test_token_expires_at_its_time(box, caller):
    """It is accepted one second before, and returns 401 afterwards."""
    box.advance(3598)
    assert caller.get("customers").status_code == 200
    box.advance(3)
    response = caller.get("customers")
    assert (response.status_code, response.json()["status"]) == (401, "FAILED")
    assert box.requests(last=1)[0]["token"] == "expired"


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x.y.z", "Basic abc", "x"])
def test_invalid_token_returns_401_in_arms_format(box, header):
    """The body has status, message and errors."""
    headers = {} if header is None else {"Authorization": header}
    response = requests.get(f"{box.base_url}/clients/2218/customers", headers=headers, timeout=5)
    assert (response.status_code, response.json()["status"]) == (401, "FAILED")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nope", 404),
        ("GET", "Customers", 404),
        ("PATCH", "customers", 405),
        ("HEAD", "customers", 405),
        ("DELETE", "aritems/1", 405),
        ("GET", "http://{host}/arm/v1/clients/1/customers", 403),
        ("GET", "http://{host}/arm/v1/clients/x/customers", 400),
        ("GET", "http://{host}/nope", 404),
        ("GET", "aritems/2218-500002-35078-0?nope=1", 400),
    ],
)
def test_invalid_request_returns_an_error_in_arms_format(box, caller, method, path, status):
    """Examples are unknown paths, wrong methods and other client numbers."""
    response = caller.call(method, path.format(host=box.url.partition("//")[2]))
    assert response.status_code == status
    assert method == "HEAD" or response.json()["status"] == "FAILED"


def test_health_needs_no_token(box):
    """It returns 200."""
    assert requests.get(f"{box.base_url}/health", timeout=5).status_code == 200


def test_same_seed_returns_the_same_bytes(caller_of):
    """Records, tokens, UUIDs and query ids depend only on the seed and the clock."""

    def run():
        with ArmSandbox(seed=11, ar_items=40, batch_delay=0, port=0) as box:
            box.set_time(dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC))
            caller = caller_of(box)
            responses = [
                caller.session.headers["Authorization"],
                caller.get("aritems").text,
                caller.get("customers").text,
            ]
            receipt = caller.write("POST", "customers/batches", "customers", [{"customerNo": "1", "name": "x"}])
            responses += [
                receipt.text,
                caller.get(f"batches/{receipt.json()['batchUuid']}").text,
                caller.get("customers/1").text,
            ]
            return [response.replace(box.url, "") for response in responses]

    assert run() == run()


def test_another_seed_has_other_records(caller_of):
    """The documented records are always present."""
    with ArmSandbox(seed=1) as one, ArmSandbox(seed=2) as two:
        first, second = (caller_of(box).get("aritems?pagesize=1000").json()["arItems"] for box in (one, two))
    assert first[:2] == second[:2]
    assert first[2:] != second[2:]


def test_state_in_a_folder_survives_a_restart(tmp_path, caller_of):
    """Records, effect log, tokens and batches are kept, and numbers continue."""
    with ArmSandbox(state_dir=tmp_path, batch_delay=3600) as box:
        caller = caller_of(box)
        token = caller.session.headers["Authorization"]
        uuid = caller.write("POST", "customers/batches", "customers", [{"customerNo": "1", "name": "x"}]).json()[
            "batchUuid"
        ]
        used = box.requests()[-1]["n"]
    with ArmSandbox(state_dir=tmp_path, batch_delay=3600) as box:
        caller = caller_of(box)
        caller.session.headers["Authorization"] = token
        assert caller.get(f"batches/{uuid}").json()["status"] == "RECEIVED"
        box.advance(3599)
        box.advance(1)
        assert box.ledger()["customers"]["1"]["effects"] == 1
        assert box.requests()[-1]["n"] > used


def test_killed_sandbox_keeps_what_it_acknowledged(tmp_path):
    """After SIGKILL, record and effect are present at the next start."""
    ready = tmp_path / "ready.json"
    command = [
        sys.executable,
        "-m",
        "airflow_provider_arm.sandbox.cli",
        "--port",
        "0",
        "--state",
        str(tmp_path / "state"),
    ]
    with subprocess.Popen([*command, "--ready-file", str(ready)], stdout=subprocess.DEVNULL) as process:
        while not ready.exists():
            assert process.poll() is None
        address = json.loads(ready.read_text())
        form = {"grant_type": "client_credentials", **{name: address[name] for name in ("client_id", "client_secret")}}
        token = requests.post(address["auth_url"], data=form, timeout=5).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        body = {"customer": {"customerNo": "1", "name": "x"}}
        assert requests.post(f"{address['base_url']}/clients/2218/customers", headers=headers, json=body, timeout=5).ok
        process.kill()
    with ArmSandbox(state_dir=tmp_path / "state") as box:
        assert box.ledger()["customers"]["1"]["effects"] == 1
        assert [line["status"] for line in box.requests()] == [200, 201]


def test_core_returns_responses_without_a_socket():
    """They are the same as those of the server."""
    core = Core(SeedOptions(ar_items=5))
    assert core.handle(SandboxRequest("GET", "/arm/v1/health")).status == 200
    assert core.handle(SandboxRequest("GET", "/arm/v1/clients/2218/customers")).status == 401
    core.close()


def test_state_in_a_folder_overrides_the_options(tmp_path):
    """Seed and client number are those of the folder."""
    with ArmSandbox(state_dir=tmp_path, ar_items=9, client_no=77):
        pass
    with ArmSandbox(state_dir=tmp_path, ar_items=500) as box:
        assert (box.totals()["arItems"], box.client_no, box.connection()["extra"]["client_no"]) == (9, 77, 77)


def test_batch_that_cannot_be_processed_does_not_block_others(box, caller, customer, monkeypatch, caplog):
    """It is rejected and logged; the calls after it are served."""
    from airflow_provider_arm.sandbox.api import batches

    with monkeypatch.context() as broken:
        broken.setattr(batches, "write_customer", lambda *_, **__: 1 / 0)
        assert caller.batch("customers", [customer]).json()["status"] == "REJECTED"
    assert "ZeroDivisionError" in caplog.text
    assert caller.batch("customers", [customer]).json()["status"] == "PROCESSED"


def test_a_failure_of_the_sandbox_is_a_500_in_arms_format(box, caller, monkeypatch, caplog):
    """With a line in the log, nothing half done, and the next call served."""
    from airflow_provider_arm.sandbox.api import lists

    with monkeypatch.context() as broken:
        broken.setattr(lists, "_page_summary", lambda *_: 1 / 0)
        response = caller.get("customers")
    assert (response.status_code, response.json()["status"]) == (500, "FAILED")
    assert "ZeroDivisionError" in caplog.text
    assert caller.get("customers").status_code == 200


def test_concurrent_writes_take_effect_once_each(box, caller_of):
    """Each of 64 callers creates customers of its own and updates one that all share."""
    failures = []

    def work(number):
        caller = caller_of(box)
        for turn in range(5):
            responses = [
                caller.write("POST", "customers", "customer", {"customerNo": f"C{number}-{turn}", "name": "x"}),
                caller.write("POST", "customers", "customer", {"customerNo": "shared", "name": f"{number}"}),
            ]
            failures.extend(response.text for response in responses if response.status_code not in (200, 201))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    ledger = box.ledger()["customers"]
    assert ledger.pop("shared")["effects"] == 320
    assert len(ledger) == 320
    assert {entry["effects"] for entry in ledger.values()} == {1}


def test_one_of_64_concurrent_writes_books_the_document(box, caller_of, document):
    """The others are refused."""
    callers = [caller_of(box) for _ in range(64)]
    statuses = []
    start = threading.Barrier(64)

    def work(caller):
        start.wait()
        statuses.append(caller.write("POST", "documents", "document", document).status_code)

    threads = [threading.Thread(target=work, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [422] * 63
    assert box.ledger()["documents"][document["documentNo"]]["effects"] == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(
    line=st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda method, target, rest: method + b" /" + target + b" HTTP/1.1\r\nhost: x\r\n" + rest,
            st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"X"]),
            st.binary(max_size=60),
            st.binary(max_size=120),
        ),
    )
)
def test_generated_bytes_on_the_socket_never_return_500(running, line):
    """The next caller is served."""
    assert b" 500 " not in _raw(running, line + b"\r\n\r\n")
    assert requests.get(f"{running.base_url}/health", timeout=5).status_code == 200


def test_request_log_masks_personal_data_and_secrets(box, caller, customer):
    """Natural keys are not masked; names, addresses, misspelt fields and credentials are."""
    caller.write("POST", "customers", "customer", customer | {"nmae": "Ola Hemmelig"})
    caller.get("customers", params={"name": "Kari"})
    log = json.dumps(box.requests())
    assert "700001" in log
    for secret in ("Kari", "Hemmelig", "Storgata", "kari@example.com", box.client_secret, "Bearer ey"):
        assert secret not in log


def test_request_log_can_be_filtered(box, caller):
    """Filters are any column, a minimum number, or the last few."""
    caller.get("customers/543210")
    caller.get("customers/unknown")
    assert [line["path"] for line in box.requests(status=404)] == ["/arm/v1/clients/2218/customers/unknown"]
    assert [line["n"] for line in box.requests(after=2)] == [3]
    assert [line["n"] for line in box.requests(last=1)] == [3]
    with pytest.raises(ValueError, match="unknown filter 'color'"):
        box.requests(color="red")


def test_admin_paths_have_the_effect_of_the_methods(box, caller, customer):
    """This covers clock, behaviour, faults, requests, effect log, seed and reset."""
    admin = f"{box.url}/__sandbox__"
    caller.write("POST", "customers", "customer", customer)
    assert requests.get(f"{admin}/ledger", timeout=5).json() == box.ledger()
    assert requests.get(f"{admin}/requests?status=201", timeout=5).json()["requests"] == box.requests(status=201)
    before = box.now()
    requests.post(f"{admin}/clock", json={"advance": 120.5}, timeout=5)
    assert (box.now() - before).total_seconds() >= 120.5
    moved = requests.post(f"{admin}/clock", json={"set": "2026-05-17T12:00:00+02:00"}, timeout=5).json()
    assert moved == {"now": "2026-05-17T12:00:00.000+02:00", "stopped": True}
    assert requests.post(f"{admin}/clock", json={"run": True}, timeout=5).json()["stopped"] is False
    changed = requests.post(
        f"{admin}/behaviour", json={"batch_delay": 2.5, "q10_next_page": "absent"}, timeout=5
    ).json()
    assert (changed["switches"]["batch_delay"], changed["switches"]["q10_next_page"]) == (2.5, "absent")
    requests.post(f"{admin}/faults", json={"do": "empty", "match": {"path": "*/customers*"}}, timeout=5)
    assert caller.get("customers").content == b""
    assert requests.get(f"{admin}/faults", timeout=5).json()["faults"][0]["fired"] == [box.requests(last=1)[0]["n"]]
    requests.delete(f"{admin}/faults", timeout=5)
    assert caller.get("customers").status_code == 200
    requests.post(f"{admin}/seed", json={"ar_items": 12}, timeout=5)
    assert box.totals()["arItems"] == 12
    requests.post(f"{admin}/reset", timeout=5)
    assert box.ledger()["customers"] == {}
    requests.post(f"{admin}/seed", json={"ar_items": 60}, timeout=5)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nope", None, 404),
        ("DELETE", "ledger", None, 405),
        ("POST", "clock", {}, 400),
        ("POST", "clock", {"set": "noon"}, 400),
        ("POST", "clock", {"advance": "x"}, 400),
        ("POST", "clock", [], 400),
        ("POST", "behaviour", {"nope": 1}, 400),
        ("POST", "behaviour", {"q10_next_page": "maybe"}, 400),
        ("POST", "behaviour", {"batch_delay": -1}, 400),
        ("POST", "behaviour", {"q16_max_records": 1.5}, 400),
        ("POST", "faults", {"do": "explode"}, 400),
        ("POST", "faults", {"do": "close", "when": "later"}, 400),
        ("POST", "faults", {"do": "close", "nth": 0}, 400),
        ("POST", "faults", {"do": "close", "match": {"colour": "red"}}, 400),
        ("POST", "faults", {"do": "delay", "seconds": "x"}, 400),
        ("POST", "seed", {"pack": "nope"}, 400),
        ("POST", "seed", {"colour": "red"}, 400),
        ("POST", "seed", {"ar_items": -1}, 400),
        ("GET", "requests?colour=red", None, 400),
    ],
)
def test_invalid_admin_call_returns_an_error_message(box, method, path, body, status):
    """Nothing is changed."""
    response = requests.request(method, f"{box.url}/__sandbox__/{path}", json=body, timeout=5)
    assert response.status_code == status
    assert response.json()["error"]


def _raw(box, data):
    with socket.create_connection(("127.0.0.1", int(box.url.rpartition(":")[2])), timeout=20) as line:
        try:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            return line.recv(200)
        except OSError:
            return b""  # the server may reset the connection before it has read everything


DEEP = b"[" * 200_000
GARBAGE = {
    "noise": bytes(range(256)) * 50,
    "a line without end": b"A" * 1_000_000,
    "a header of 10 MB": b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 10_000_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
    "bad chunks": b"POST /arm/v1/health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "a wrong length": b"POST /arm/v1/health HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "half a request": b"POST /arm/v1/health HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc",
    "http/9": b"GET / HTTP/9.9\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 300,
    "a websocket": b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "an absolute target": b"GET http://else.example/arm/v1/health HTTP/1.1\r\nhost: x\r\n\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    "bad quoting": b"GET /arm/v1/clients/%zz/customers/%ff%fe HTTP/1.1\r\nhost: x\r\n\r\n",
    "a strange host": b'GET /arm/v1/health HTTP/1.1\r\nhost: \xff\xfe"<x>\r\n\r\n',
}


@pytest.mark.parametrize("name", GARBAGE)
def test_invalid_bytes_on_the_socket_never_return_500(box, name):
    """The next caller is served."""
    assert b" 500 " not in _raw(box, GARBAGE[name])
    assert requests.get(f"{box.base_url}/health", timeout=5).status_code == 200


BODIES = {
    "deep lists": DEEP,
    "deep objects": b'{"a":' * 100_000,
    "closed deep lists": b"[" * 900 + b"]" * 900,
    "a huge number": b'{"customer": {"customerNo": "1", "name": "x", "limitAmount": ' + b"9" * 100_000 + b"}}",
    "a huge exponent": b'{"customer": {"customerNo": "1", "name": "x", "limitAmount": 1e999999999}}',
    "not a number": b'{"customer": {"customerNo": "1", "name": "x", "limitAmount": NaN}}',
    "a lone surrogate": b'{"customer": {"customerNo": "1", "name": "\\ud800"}}',
    "a zero byte": b'{"customer": {"customerNo": "1\\u0000", "name": "x\\u0000"}}',
    "not utf-8": b'{"customer": {"customerNo": "\xff"}}',
    "a list for a key": b'{"customer": {"customerNo": ["1"], "name": {"a": 1}}}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "odd records": b'{"customers": [null, 1, "x", [], {}, {"customerNo": null}]}',
}


@pytest.mark.parametrize("path", ["customers", "customers/batches", "documents", "documents/batches"])
@pytest.mark.parametrize("name", BODIES)
def test_invalid_body_never_returns_500(box, caller, name, path):
    """It returns 400 or 422, or a batch is accepted whose records fail one by one."""
    response = caller.call("POST", path, BODIES[name])
    assert response.status_code in (201, 202, 400, 422)
    money.decode(response.content)
    box.advance(1)
    assert not [line for line in box.requests() if line["status"] == 500]


def test_body_above_the_limit_returns_413(box, caller):
    """The next caller is served."""
    response = caller.session.post(
        f"{box.base_url}/clients/2218/customers", data=iter([b"x" * 1_048_576] * 65), timeout=30
    )
    assert response.status_code == 413
    assert requests.get(f"{box.base_url}/health", timeout=5).status_code == 200


def test_command_prints_the_connection_and_ends_on_sigterm(tmp_path):
    """The ready file is written once the server listens; the exit code is 0."""
    ready = tmp_path / "ready.json"
    command = [
        sys.executable,
        "-m",
        "airflow_provider_arm.sandbox.cli",
        "--port",
        "0",
        "--ar-items",
        "5",
        "--ready-file",
        str(ready),
    ]
    command += ["--switches", "q10_next_page=absent", "batch_delay=3", "--clients", "2218,2219"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        while not ready.exists():
            assert process.poll() is None
        address = json.loads(ready.read_text())
        assert requests.get(f"{address['base_url']}/health", timeout=5).status_code == 200
        switches = requests.get(f"{address['url']}/__sandbox__/behaviour", timeout=5).json()["switches"]
        assert (switches["q10_next_page"], switches["batch_delay"]) == ("absent", 3)
        assert (address["client_no"], address["clients"]) == (2218, [2218, 2219])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert f"airflow connections add arm_default --conn-json '{json.dumps(address['connection'])}'\n" in lines


@pytest.mark.parametrize(
    "arguments", [["--switches", "nope=1"], ["--pack", "nope"], ["--clients", "7,7"], ["--port", "1"]]
)
def test_command_prints_errors_in_one_line(arguments, capsys):
    """The exit code is 1, and there is no traceback."""
    from airflow_provider_arm.sandbox.cli import main

    if arguments == ["--port", "1"] and os.geteuid() == 0:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            assert main(["--port", str(taken.getsockname()[1])]) == 1
    else:
        assert main(arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_command_names_the_missing_extra():
    """Without uvicorn the error is one line with the command that installs it."""
    program = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from airflow_provider_arm.sandbox.cli import main\n"
        "sys.exit(main(['--port', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "arm-sandbox: The sandbox needs uvicorn: pip install 'airflow-provider-arm[sandbox]'\n"


def test_import_of_the_package_loads_no_server():
    """Neither Airflow nor requests is imported, even while the server runs."""
    program = (
        "import sys, airflow_provider_arm.sandbox as s; assert 'uvicorn' not in sys.modules\n"
        "with s.ArmSandbox(ar_items=3) as box: pass\n"
        "assert 'airflow' not in sys.modules and 'requests' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
