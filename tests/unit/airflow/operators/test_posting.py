"""Operators for single writes against the sandbox: each natural key takes effect at most once."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.operators.ar_item import ArItemUpdateOperator
from airflow_provider_arm.operators.document import DocumentCreateOperator
from airflow_provider_arm.operators.payment import PaymentReservationOperator
from airflow_provider_arm.operators.posting import AutoPostingOperator

ITEM = "2218-500002-35078-0"
CANARY = "Kanarifugl"
INVOICE = {
    "documentType": "IN",
    "customerNo": "543210",
    "documentNo": "50001",
    "documentDate": "2026-01-31",
    "dueDate": "2026-02-28",
    "currency": "NOK",
    "ledgerNote": CANARY,
    "currencyAmounts": {"exclVat": 100, "vat": 25, "inclVat": 125},
}
POSTING = {"arItemId": ITEM, "currencyAmount": Decimal("24.37"), "transactionText": CANARY, "externalId1": "E-1"}


def create_document(**arguments):
    """Return the operator for one invoice."""
    return DocumentCreateOperator(task_id="write", **{"document": INVOICE, **arguments})


def reserve(**arguments):
    """Return the operator for one reservation."""
    reservation = {"documentNo": "88776655", "currencyAmount": Decimal("10.50")}
    return PaymentReservationOperator(task_id="write", **{"payment_id": "P-1", "reservation": reservation, **arguments})


def credit(**arguments):
    """Return the operator that credits a part of one item."""
    changes = {"arItemId": ITEM, "transactionText": CANARY, "creditNote": {"currencyAmount": Decimal("4.37")}}
    return ArItemUpdateOperator(task_id="write", **{"changes": changes, **arguments})


def post(**arguments):
    """Return the operator for a set of one posting."""
    if "source" not in arguments:
        arguments.setdefault("postings", [POSTING])
    return AutoPostingOperator(task_id="write", **{"method": "payment", **arguments})


#: Of each operator: how to build it, its personal argument, its request, its natural key in the effect log, its result.
CASES = {
    "document": SimpleNamespace(
        make=create_document,
        personal="document",
        request={"method": "POST", "path": "*/documents"},
        key=("documents", "50001"),
        result={
            "document_no": "50001",
            "customer_no": "543210",
            "account_no": 500002,
            "status": "PROCESSED",
            "result": "CREATED",
            "warnings": [],
        },
    ),
    "reservation": SimpleNamespace(
        make=reserve,
        personal="reservation",
        request={"method": "POST", "path": "*/paymentreservations"},
        key=("payments", "P-1"),
        result={"payment_id": "P-1", "account_no": None, "status": "PROCESSED", "result": "CREATED", "warnings": []},
    ),
    "credit note": SimpleNamespace(
        make=credit,
        personal="changes",
        request={"method": "PUT", "path": "*/aritems"},
        key=("arItems", ITEM),
        result={"ar_item_id": ITEM, "account_no": 500002, "status": "PROCESSED", "result": "UPDATED", "warnings": []},
    ),
    "auto postings": SimpleNamespace(
        make=post,
        personal="postings",
        request={"method": "POST", "path": "*/autopostings/*"},
        key=("payments", "E-1"),
        result={
            "method": "payment",
            "postings": 1,
            "validate_only": False,
            "status": "PROCESSED",
            "result_types": {"CREATED": 1},
            "warnings": [],
        },
    ),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request):
    """Return each operator in turn."""
    return request.param


@pytest.fixture
def no_pauses(arm_connection, monkeypatch):
    """Let the client retry without pauses."""
    from airflow_provider_arm.client.http import retry

    monkeypatch.setattr(retry.SystemClock, "sleep", lambda *_: None)


def effects(box, case):
    """Return how often the case's natural key took effect in the sandbox."""
    kind, key = case.key
    return box.ledger()[kind].get(key, {}).get("effects", 0)


def sent(box):
    """Return the writes that the sandbox has received."""
    return [call for call in box.requests() if call["method"] in ("POST", "PUT") and "/clients/" in call["path"]]


def books(box):
    """Return the totals and the effect log of the sandbox."""
    return box.totals() | {"ledger": box.ledger()}


def test_write_takes_effect_once_and_returns_plain_json(arm_sandbox, arm_connection, first_try, case):
    """The result has the natural key and ARM's status."""
    result = case.make().execute(first_try)
    assert json.loads(json.dumps(result)) == result == case.result
    assert effects(arm_sandbox, case) == 1


def test_retry_returns_the_stored_result_and_sends_nothing(arm_sandbox, arm_connection, store, make_context, case):
    """The journal has ARM's response."""
    results = [case.make().execute(make_context(store, try_number=number, max_tries=2)) for number in (1, 2, 3)]
    assert results == [case.result] * 3
    assert len(sent(arm_sandbox)) == 1


FAULTS = ["close", "reset", "hang", "half_header", "half_body", "html", "empty", "status"]


@pytest.mark.parametrize("kind", FAULTS)
def test_write_with_a_lost_response_is_not_sent_again(
    arm_sandbox, no_pauses, store, make_context, case, kind, monkeypatch
):
    """However the response is lost: a lookup finds a document, any other write fails in each try and each clear."""
    if kind == "hang":  # the timeout is in real time
        conn = arm_sandbox.connection()
        conn["extra"]["timeout"] = 1
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(conn))
    arm_sandbox.fault({"match": case.request, "do": kind, "when": "after_accept"})
    before = None
    for number, clears in ((1, 0), (2, 0), (3, 2), (4, 3)):
        context = make_context(store, try_number=number, max_tries=clears)
        if case is CASES["document"]:  # a lookup finds it
            assert case.make().execute(context).items() >= {"document_no": "50001", "result": None}.items()
        else:
            with pytest.raises(ArmFailException, match="may or may not have reached ARM") as caught:
                case.make().execute(context)
            assert CANARY not in str(caught.value)
        assert before in (None, books(arm_sandbox))
        before = books(arm_sandbox)
    assert len(sent(arm_sandbox)) == 1
    assert effects(arm_sandbox, case) == 1


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
def test_server_error_is_an_unknown_outcome(arm_sandbox, no_pauses, store, make_context, case, status):
    """A gateway does not know what ARM did behind it."""
    arm_sandbox.fault({"match": case.request, "do": "status", "status": status, "when": "after_accept"})
    for number in (1, 2):
        context = make_context(store, try_number=number, max_tries=1)
        if case is CASES["document"]:
            assert case.make().execute(context)["document_no"] == "50001"
        else:
            with pytest.raises(ArmFailException, match="may or may not have reached ARM"):
                case.make().execute(context)
    assert (len(sent(arm_sandbox)), effects(arm_sandbox, case)) == (1, 1)


def test_write_that_arm_commits_late_is_not_sent_again(arm_sandbox, no_pauses, store, make_context, case):
    """Each try before the commit fails; after it, a lookup finds a document."""
    arm_sandbox.fault({"match": case.request, "do": "late_commit", "seconds": 60})
    is_document = case is CASES["document"]
    for number, seconds in ((1, 0), (2, 59), (3, 2)):
        arm_sandbox.advance(seconds)
        context = make_context(store, try_number=number, max_tries=2)
        if is_document and number == 3:
            assert case.make().execute(context)["document_no"] == "50001"
            continue
        later = ArmTransientException if is_document else ArmFailException
        with pytest.raises(later, match="may or may not have reached ARM"):
            case.make().execute(context)
    assert effects(arm_sandbox, case) == 1


def test_resend_sends_a_write_that_never_arrived_once(arm_sandbox, no_pauses, store, make_context, case):
    """With on_unknown_outcome="resend", in the next try."""
    arm_sandbox.fault({"match": case.request, "do": "close", "when": "before_accept"})
    operator = case.make(on_unknown_outcome="resend")
    with pytest.raises(ArmTransientException, match="next try sends it again"):
        operator.execute(make_context(store, try_number=1, max_tries=2))
    assert operator.execute(make_context(store, try_number=2, max_tries=2)) == case.result
    assert operator.execute(make_context(store, try_number=3, max_tries=2)) == case.result
    assert effects(arm_sandbox, case) == 1


def test_retry_sends_what_was_certainly_not_sent(arm_sandbox, no_pauses, store, make_context, case):
    """Without a token nothing is sent."""
    arm_sandbox.fault({"match": {"method": "POST", "path": "*/token"}, "do": "status", "status": 503, "times": 5})
    with pytest.raises(ArmTransientException, match="503"):
        case.make().execute(make_context(store, try_number=1, max_tries=1))
    assert case.make().execute(make_context(store, try_number=2, max_tries=1)) == case.result
    assert effects(arm_sandbox, case) == 1


def test_write_is_sent_again_after_a_429(arm_sandbox, no_pauses, first_try, case):
    """Nothing took effect."""
    arm_sandbox.fault({"match": case.request, "do": "status", "status": 429})
    assert case.make().execute(first_try) == case.result
    assert effects(arm_sandbox, case) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_refused_write_fails_without_retry_and_a_clear_sends_it(
    arm_sandbox, no_pauses, store, make_context, case, status
):
    """After a 4xx nothing has taken effect."""
    times = 2 if status == 401 else 1  # the client answers the first 401 with a new token
    arm_sandbox.fault({"match": case.request, "do": "status", "status": status, "times": times})
    with pytest.raises(ArmFailException, match=str(status)):
        case.make().execute(make_context(store, try_number=1, max_tries=0))
    assert effects(arm_sandbox, case) == 0
    assert case.make().execute(make_context(store, try_number=2, max_tries=1)) == case.result
    assert effects(arm_sandbox, case) == 1


def test_clear_returns_the_stored_result_and_sends_nothing(
    arm_sandbox, arm_connection, store, make_context, case, caplog
):
    """A new booking needs a new DAG run."""
    caplog.set_level(logging.INFO)
    for number, clears in ((1, 0), (2, 1), (3, 2)):
        assert case.make().execute(make_context(store, try_number=number, max_tries=clears)) == case.result
    assert "ARM has already accepted it; not sent again" in caplog.text
    assert (len(sent(arm_sandbox)), effects(arm_sandbox, case)) == (1, 1)


def test_retry_with_other_content_fails(arm_sandbox, arm_connection, store, make_context):
    """A template may be rendered differently."""
    create_document().execute(make_context(store, try_number=1, max_tries=1))
    with pytest.raises(ArmFailException, match="document 50002 differs from what this task has sent before"):
        create_document(document=INVOICE | {"documentNo": "50002"}).execute(
            make_context(store, try_number=2, max_tries=1)
        )
    assert len(sent(arm_sandbox)) == 1


def test_retry_without_a_journal_fails(arm_sandbox, arm_connection, store, make_context, case):
    """A first try is sent."""
    for context, arguments in (
        (make_context(None, try_number=2), {}),
        (make_context(store, try_number=2), {"durable": False}),
    ):
        with pytest.raises(ArmFailException, match="kept no journal"):
            case.make(**arguments).execute(context)
    assert sent(arm_sandbox) == []
    assert case.make().execute(make_context(None, try_number=1)) == case.result


def test_nothing_is_sent_when_the_journal_cannot_be_written(arm_sandbox, arm_connection, first_try, store, case):
    """The entry is written before the request."""

    def refuse(key, value, *, retention=None):
        raise OSError(28, "No space left")

    store.set = refuse
    with pytest.raises(ArmTransientException, match="cannot be written"):
        case.make().execute(first_try)
    assert sent(arm_sandbox) == []


def test_retry_with_a_journal_in_files_returns_the_stored_result(arm_sandbox, no_pauses, make_context, case, tmp_path):
    """As on Airflow 3.1; the files contain no personal data."""
    folder = str(tmp_path)

    def a_try(number, max_tries):
        made = make_context(None, try_number=number, max_tries=max_tries)
        vars(made["ti"]).update(dag_id="d", run_id="r", task_id="write", map_index=-1)
        return made

    results = [case.make(journal_path=folder).execute(a_try(number, 1)) for number in (1, 2)]
    assert results == [case.result] * 2
    assert (len(sent(arm_sandbox)), effects(arm_sandbox, case)) == (1, 1)
    stored = "".join(file.read_text("utf-8") for file in tmp_path.rglob("*.json"))
    assert stored
    assert CANARY not in stored


def test_journal_log_and_result_contain_no_personal_data(arm_sandbox, arm_connection, first_try, store, case, caplog):
    """At level DEBUG."""
    caplog.set_level(logging.DEBUG)
    result = case.make().execute(first_try)
    assert CANARY not in "".join([*store.values.values(), caplog.text, json.dumps(result)])


def test_personal_argument_is_redacted_after_rendering(case):
    """Airflow stores only the number of records."""
    operator = case.make()
    assert case.personal in operator.personal_fields
    operator.render_template_fields({})
    assert str(getattr(operator, case.personal)) == "<1 record, not shown>"


def test_recovered_write_succeeds_without_a_stored_response(arm_sandbox, arm_connection, store, make_context, case):
    """The result has the natural key, and nothing is sent."""
    case.make().execute(make_context(store, try_number=1, max_tries=1))
    entry = json.loads(store.values["arm.chunk.0"]) | {"state": "recovered"}
    del entry["response"]
    store.values["arm.chunk.0"] = json.dumps(entry)
    result = case.make().execute(make_context(store, try_number=2, max_tries=1))
    assert result.keys() == case.result.keys()
    assert (result["status"], result["warnings"]) == (None, [])
    assert len(sent(arm_sandbox)) == 1


# ---- inputs


def test_record_is_read_from_json_text_and_from_file(arm_sandbox, arm_connection, make_context, store, tmp_path):
    """Both are sent like a mapping."""
    (tmp_path / "invoice.json").write_text(json.dumps(INVOICE | {"documentNo": "50003"}), encoding="utf-8")
    create_document(document=json.dumps(INVOICE)).execute(make_context(None))
    create_document(document=f"file://{tmp_path}/invoice.json").execute(make_context(None))
    assert set(arm_sandbox.ledger()["documents"]) >= {"50001", "50003"}


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_postings_are_read_from_a_file(arm_sandbox, arm_connection, first_try, tmp_path, ending):
    """Each posting has an effect of its own."""
    rows = ['{"arItemId": "%s", "currencyAmount": %s, "externalId1": "F-%d"}' % (ITEM, "10.10", n) for n in (1, 2)]  # noqa: UP031
    text = {"jsonl": "\n".join(rows), "json": '{"autoPostings": [%s]}' % ",".join(rows)}[ending]  # noqa: UP031
    (tmp_path / f"set.{ending}").write_text(text, encoding="utf-8")
    result = post(source=f"file://{tmp_path}/set.{ending}").execute(first_try)
    assert (result["postings"], result["result_types"]) == (2, {"CREATED": 2})
    assert {key: one["effects"] for key, one in arm_sandbox.ledger()["payments"].items()} == {"F-1": 1, "F-2": 1}
    assert arm_sandbox.totals()["currencies"]["NOK"]["currencyBalance"] is not None


INVALID = [
    (create_document, {"document": "{'a': 1}"}, ["document", "not JSON"]),
    (create_document, {"document": [INVOICE]}, ["document", "mapping"]),
    (create_document, {"document": "/no/such.json"}, ["document", "cannot be read"]),
    (create_document, {"document": {"customerNo": "1"}}, ["documentNo", "required"]),
    (create_document, {"document": INVOICE | {"documentNo": 5}}, ["documentNo", "text"]),
    (create_document, {"document": INVOICE | {"currencyAmounts": {"inclVat": 0.1}}}, ["inclVat", "float"]),
    (create_document, {"document": INVOICE | {"new": 0.1}}, ["new", "float"]),
    (create_document, {"on_unknown_outcome": "retry"}, ["on_unknown_outcome", "resend"]),
    (reserve, {"payment_id": ""}, ["payment_id is empty"]),
    (reserve, {"payment_id": 7.5}, ["payment_id", "text"]),
    (reserve, {"reservation": {"paymentId": "P-2"}}, ["set payment_id"]),
    (reserve, {"reservation": {"referenceNo": "x"}}, ["referenceNo", "whole number"]),
    (reserve, {"reservation": {"documentNo": "1", "currencyAmount": 0.1}}, ["currencyAmount", "float"]),
    (credit, {"changes": {"dueDate": "2026-01-01"}}, ["arItemId", "required"]),
    (credit, {"changes": {"arItemId": ITEM, "creditNote": {"currencyAmount": 0.1}}}, ["currencyAmount", "float"]),
    (post, {"postings": None}, ["either postings or source"]),
    (post, {"postings": [POSTING], "source": "x.jsonl"}, ["either postings or source"]),
    (post, {"postings": "nope"}, ["postings", "not JSON"]),
    (post, {"postings": [1]}, ["postings", "list of mappings"]),
    (post, {"postings": {"a": 1}}, ["postings", "list of mappings"]),
    (post, {"postings": []}, ["postings", "no records"]),
    (post, {"postings": [POSTING, POSTING | {"currencyAmount": 0.1}]}, ["row 2", "currencyAmount", "float"]),
    (post, {"postings": [POSTING, POSTING | {"options": "validateOnly"}]}, ["row 2, column options", "list"]),
    (post, {"postings": [POSTING | {"options": 1}] * 25}, ["25 rows are invalid", "row 20,", "and 5 more rows"]),
    (post, {"source": "/no/such.jsonl"}, ["such.jsonl", "file not found"]),
    (post, {"source": "/no/such.csv"}, [".jsonl or .json", "ARM does not document the fields"]),
    (post, {"source": "/no/such.PARQUET"}, [".jsonl or .json", "ARM does not document the fields"]),
    (post, {"source": "/no/such.xls"}, ["such.xls", ".jsonl"]),
    (post, {"method": " "}, ["method", "not empty"]),
    (post, {"validate_only": True, "postings": []}, ["no records"]),
]


@pytest.mark.parametrize(("make", "arguments", "words"), INVALID)
def test_invalid_argument_fails_before_anything_is_sent(arm_sandbox, arm_connection, first_try, make, arguments, words):
    """The message names the argument and contains no personal data."""
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        make(**arguments).execute(first_try)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert CANARY not in str(caught.value)
    assert sent(arm_sandbox) == []


# ---- refusals


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (create_document, {"document": INVOICE | {"customerNo": "1"}}, ["422", "CustomerNo", "no such customer"]),
        (reserve, {"reservation": {"documentNo": "x", "currencyAmount": 1}}, ["422", "no such item or customer"]),
        (credit, {"changes": {"arItemId": "x", "dueDate": "2026-01-01"}}, ["404", "ArItemId"]),
        (credit, {"changes": {"arItemId": ITEM, "creditNote": {"currencyAmount": 999}}}, ["422", "CurrencyAmount"]),
        (post, {"method": "nope"}, ["422", "AutoPostingMethod"]),
    ],
)
def test_refusal_names_the_field_and_has_no_effect(arm_sandbox, arm_connection, first_try, make, arguments, words):
    """Totals and effect log are unchanged."""
    before = books(arm_sandbox)
    with pytest.raises(ArmFailException) as caught:
        make(**arguments).execute(first_try)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert books(arm_sandbox) == before


@pytest.mark.parametrize("validate_only", [False, True])
def test_one_wrong_posting_rejects_the_set_and_each_reason_is_logged(
    arm_sandbox, arm_connection, first_try, validate_only, caplog
):
    """By position in the set, without personal data."""
    bad = [{"arItemId": CANARY, "currencyAmount": 1}, POSTING | {"currencyAmount": -1, "transactionText": CANARY}]
    before = books(arm_sandbox)
    with pytest.raises(ArmFailException) as caught:
        post(postings=[POSTING, bad[0], POSTING, bad[1], POSTING], validate_only=validate_only).execute(first_try)
    message = str(caught.value)
    reasons = ["record 2, ArItemId: no such item", "record 4, CurrencyAmount: must be above 0"]
    assert all(reason in message for reason in reasons), message
    assert all(f"Refused: {reason}" in caplog.text for reason in reasons)
    assert "3 valid but rejected with the rest of the set (BATCH-REJECTED)" in message
    assert CANARY not in message + caplog.text
    assert books(arm_sandbox) == before


def test_set_without_postings_fails_skips_or_succeeds(arm_sandbox, arm_connection, make_context, store):
    """As ``on_empty`` requires; nothing is sent."""
    with pytest.raises(ArmFailException, match="has no records"):
        post(postings=[]).execute(make_context(store))
    with pytest.raises(AirflowSkipException, match="no postings to send"):
        post(postings=[], on_empty="skip").execute(make_context(store))
    assert post(postings=[], on_empty="succeed").execute(make_context(store))["postings"] == 0
    assert sent(arm_sandbox) == []


def test_corrected_set_is_posted_once(arm_sandbox, arm_connection, store, make_context):
    """Nothing of the refused set was posted."""
    with pytest.raises(ArmFailException):
        post(postings=[POSTING, {"arItemId": "x", "currencyAmount": 1}]).execute(make_context(store))
    assert post().execute(make_context(store, try_number=2, max_tries=1))["result_types"] == {"CREATED": 1}
    assert arm_sandbox.ledger()["payments"]["E-1"]["effects"] == 1


# ---- checks


@pytest.mark.parametrize(
    "arguments", [{"validate_only": True}, {"postings": [POSTING, POSTING | {"options": ["VALIDATEONLY"]}]}]
)
def test_check_has_no_effect_and_is_repeated(arm_sandbox, no_pauses, store, make_context, arguments, caplog):
    """It is not journalled, and the client repeats it after a lost response."""
    before = books(arm_sandbox)
    arm_sandbox.fault({"match": CASES["auto postings"].request, "do": "close", "when": "after_accept", "times": 2})
    for number in (1, 2, 3):
        result = post(**arguments).execute(make_context(store, try_number=number, max_tries=3))
        assert (result["validate_only"], result["status"]) == (True, "PROCESSED")
        assert set(result["result_types"]) == {"VALIDATED"}
    assert "nothing was posted (validateOnly)" in caplog.text
    assert books(arm_sandbox) == before
    assert store.values == {}
    assert len(sent(arm_sandbox)) == 5


def test_check_does_not_resolve_an_unknown_outcome(arm_sandbox, no_pauses, store, make_context):
    """After a check, the set is still not posted again."""
    arm_sandbox.fault({"match": CASES["auto postings"].request, "do": "reset", "when": "after_accept"})
    unknown = r"the set of 1 auto posting .payment. may or may not have reached ARM"
    with pytest.raises(ArmFailException, match=unknown):
        post().execute(make_context(store, try_number=1, max_tries=3))
    post(validate_only=True).execute(make_context(store, try_number=2, max_tries=3))
    with pytest.raises(ArmFailException, match=unknown):
        post().execute(make_context(store, try_number=3, max_tries=3))
    assert arm_sandbox.ledger()["payments"]["E-1"]["effects"] == 1


# ---- in Airflow


def test_dag_run_writes_each_once_and_stores_no_personal_data(run_dag, arm_sandbox, arm_connection):
    """Airflow's database contains no rendered value of a record."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.sdk import DAG
    from airflow.utils.session import create_session

    with DAG("arm_booking", schedule=None) as dag:
        document = DocumentCreateOperator(task_id="document", document=json.dumps(INVOICE))
        reservation = PaymentReservationOperator(
            task_id="reservation",
            payment_id="P-{{ 1 + 1 }}",
            reservation='{"documentNo": "88776655", "currencyAmount": 10.5}',
        )
        posting = AutoPostingOperator(
            task_id="posting",
            method="payment",
            postings='[{"arItemId": "%s", "currencyAmount": 1.10, "transactionText": "%s"}]' % (ITEM, CANARY),  # noqa: UP031
        )
        change = ArItemUpdateOperator(
            task_id="change",
            changes='{"arItemId": "%s", "transactionText": "%s"}' % (ITEM, CANARY),  # noqa: UP031
        )
        document >> reservation >> posting >> change
    assert str(run_dag(dag).state) == "success"
    ledger = arm_sandbox.ledger()
    found = [ledger["documents"]["50001"], ledger["payments"]["P-2"], ledger["payments"][ITEM], ledger["arItems"][ITEM]]
    assert [one["effects"] for one in found] == [1, 1, 1, 1]
    with create_session() as session:
        rows = session.query(RenderedTaskInstanceFields).filter_by(dag_id="arm_booking").all()
        fields = [row.rendered_fields for row in rows]
    assert len(fields) == 4
    assert CANARY not in json.dumps(fields)
