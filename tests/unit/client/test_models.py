from __future__ import annotations

import datetime as dt
import json
import traceback
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import models, money
from airflow_provider_arm.client.endpoints import to_wire, to_wire_list
from airflow_provider_arm.client.errors import InvalidRecordError
from airflow_provider_arm.client.models.base import find_only_list
from airflow_provider_arm.client.models.customer import READ_ONLY_FIELDS

#: Documented example, model, and the key of the object or of the list of objects in it; ``None``: the whole example.
EXAMPLES = [
    ("aritem_get_200", models.ArItem, None),
    ("customer_delete_200", models.WriteResponse, None),
    ("customer_get_200", models.Customer, None),
    ("customer_post_200", models.WriteResponse, None),
    ("customer_post_request", models.CustomerWrite, "customer"),
    ("customers_list_200", models.Customer, "customers"),
    ("customers_list_200", models.PageSummary, "summary"),
    ("documents_batch_post_request", models.Document, "documents"),
    ("identity_token_200", models.Token, None),
]
#: What the reference calls "only in GET".
DOCUMENTED_READ_ONLY = [
    "clientNo",
    "accountNo",
    "postalReturnStatus",
    "postalReturnDate",
    "organizationNoScheme",
    "usingLanguage",
    "registrationStatusCode",
    "registrationStatusDate",
    "postalAddressChanged",
]
ADDRESS_FIELDS = list(models.wire_names(models.PostalAddress))
WHOLE_ADDRESS = dict.fromkeys(ADDRESS_FIELDS, "x")
CANARY = "Canary-Q7Zz"


def decode_literally(text: str | bytes) -> Any:
    """Decode JSON with every number as the text that it was written as."""
    return json.loads(text, parse_float=str, parse_int=str)


def objects_of(body: Any, key: str | None) -> list[Any]:
    """Return the objects of an example that one model describes."""
    part = body if key is None else body[key]
    return part if isinstance(part, list) else [part]


@pytest.mark.parametrize(("name", "model", "key"), EXAMPLES)
def test_documented_example_round_trips_unchanged(name: str, model, key, example_text) -> None:
    """Keys, values and digits are the same after reading and writing."""
    text = example_text(name)
    written = [model.from_wire(record).to_wire() for record in objects_of(money.decode(text), key)]
    assert decode_literally(money.encode(written)) == objects_of(decode_literally(text), key)


@pytest.mark.parametrize(("name", "model", "key"), EXAMPLES)
def test_every_key_of_documented_example_is_a_field(name: str, model, key, example_text) -> None:
    """No documented key is treated as an unknown key."""
    pending = [model.from_wire(record) for record in objects_of(money.decode(example_text(name)), key)]
    assert pending
    while pending:
        record = pending.pop()
        assert not record.model_extra, record.model_extra.keys()
        values = [value for value in record.__dict__.values() if value is not None]
        flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
        pending += [item for item in flat if isinstance(item, models.ArmModel)]


def test_every_documented_example_has_a_model(example_text) -> None:
    """The table above covers all eight documented examples."""
    names = {name for name, *_ in EXAMPLES}
    assert all(example_text(name) for name in names)
    assert len(names) == 8


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1).map(lambda name: f"x{name}"),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2),
        max_size=4,
    )
)
def test_unknown_keys_are_kept(extra: dict[str, Any]) -> None:
    """ARM adds fields: what the model does not know goes through as it came."""
    item = {"arItemId": "2218-500002-35078-0", **extra}
    assert models.ArItem.from_wire(item).to_wire() == item


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"customerNo": st.just("1")},
        optional={
            "name": st.text() | st.none(),
            "dueDays": st.integers(0, 365) | st.none(),
            "vatLiable": st.booleans() | st.none(),
            "limitAmount": st.decimals(0, 10**9, places=2) | st.none(),
            "stopReminderUntil": st.dates(dt.date(1900, 1, 1)).map(dt.date.isoformat) | st.none(),
            "emailAddressDocument": st.lists(st.text(), max_size=2) | st.none(),
            "distribution": st.fixed_dictionaries({}, optional={"type": st.text()}) | st.none(),
        },
    )
)
def test_only_given_keys_are_written(record: dict[str, Any]) -> None:
    """A missing key stays missing and a null stays null: in an update both keep what ARM has, and "" does not."""
    assert models.CustomerWrite.from_wire(record).to_wire() == record


def test_python_names_are_taken_and_wire_names_written() -> None:
    """A record may be written in Python's names; on the wire it is camelCase."""
    assert to_wire(models.CustomerWrite, {"customer_no": "1", "limit_amount": "2000.50"}) == {
        "customerNo": "1",
        "limitAmount": Decimal("2000.50"),
    }


@pytest.mark.parametrize("given", [["postalCode"], ["cityName", "countryCode"], ADDRESS_FIELDS[1:], []])
def test_a_partial_postal_address_is_refused_with_the_reason(given: list[str]) -> None:
    """ARM would blank the missing fields, so the error names exactly those and the way out."""
    with pytest.raises(InvalidRecordError) as caught:
        models.CustomerWrite.from_wire({"customerNo": "1", "postalAddress": dict.fromkeys(given, CANARY)})
    missing = [name for name in ADDRESS_FIELDS if name not in given]
    assert f"would blank {', '.join(missing)};" in str(caught.value)
    assert CANARY not in str(caught.value)


@settings(deadline=None)
@given(st.sets(st.sampled_from(ADDRESS_FIELDS)), st.sets(st.sampled_from(ADDRESS_FIELDS)))
def test_a_postal_address_is_taken_only_whole(missing: set[str], null: set[str]) -> None:
    """Whatever is missing or null, the address is refused; with all seven fields, blank or not, it is taken."""
    address = {name: None if name in null else "" for name in ADDRESS_FIELDS if name not in missing}
    record = {"customerNo": "1", "postalAddress": address}
    if missing or null:
        with pytest.raises(InvalidRecordError, match="postalAddress is incomplete"):
            models.CustomerWrite.from_wire(record)
    else:
        assert models.CustomerWrite.from_wire(record).to_wire() == record


@pytest.mark.parametrize("address", [None, WHOLE_ADDRESS, WHOLE_ADDRESS | {"addressLine4": "y"}])
def test_no_address_or_a_whole_one_is_taken(address) -> None:
    """Null keeps ARM's address; a whole one may carry keys that we do not know."""
    record = {"customerNo": "1", "postalAddress": address}
    assert models.CustomerWrite.from_wire(record).to_wire() == record


def test_the_read_only_fields_are_the_documented_ones() -> None:
    """The refusal covers what the reference lists, no more and no less."""
    assert sorted(models.Customer.model_fields[name].alias or name for name in READ_ONLY_FIELDS) == sorted(
        DOCUMENTED_READ_ONLY
    )


@pytest.mark.parametrize("alias", DOCUMENTED_READ_ONLY)
@pytest.mark.parametrize("by_alias", [True, False])
def test_a_read_only_field_is_refused_in_a_write(alias: str, *, by_alias: bool) -> None:
    """A field that ARM only gives is somebody's mistake in a write, by either name, and the error says so."""
    name = next(key for key in READ_ONLY_FIELDS if models.Customer.model_fields[key].alias == alias)
    with pytest.raises(InvalidRecordError, match=f"{alias} can only be read from ARM"):
        models.CustomerWrite.from_wire({"customerNo": "1", alias if by_alias else name: None})


def test_a_customer_read_from_arm_is_not_written_back_by_accident(example) -> None:
    """A model with read-only fields is refused as the mapping is."""
    with pytest.raises(InvalidRecordError, match="accountNo, clientNo"):
        to_wire(models.CustomerWrite, models.Customer.from_wire(example("customer_get_200")))


@pytest.mark.filterwarnings("error")
def test_a_write_model_is_checked_again_before_it_goes_out() -> None:
    """A model that was changed after it was made is checked as it stands, and no warning shows the value."""
    customer = models.CustomerWrite(customer_no="1")
    customer.limit_amount = 0.1  # type: ignore[assignment]
    with pytest.raises(InvalidRecordError, match="limitAmount"):
        to_wire(models.CustomerWrite, customer)


@pytest.mark.parametrize("record", [{"a": 1}, models.ArItem(ar_item_id="1")])
def test_without_a_model_a_record_goes_as_it_is(record) -> None:
    """Operations whose body is not published take what the caller gives."""
    assert to_wire(None, record) in ({"a": 1}, {"arItemId": "1"})


def test_a_batch_names_every_field_that_is_wrong_in_every_record() -> None:
    """One look shows all mistakes: place in the batch, field, and what is wrong."""
    records = [
        {"customerNo": "1"},
        {"name": "x"},
        {"customerNo": "", "dueDays": "soon"},
        {"customerNo": "2", "clientNo": 1},
    ]
    with pytest.raises(InvalidRecordError) as caught:
        to_wire_list(models.CustomerWrite, records)
    assert [issue.field for issue in caught.value.errors] == ["[1].customerNo", "[2].customerNo", "[2].dueDays", "[3]"]
    assert caught.value.errors[0].message == "is required"


# What a person may have typed, as another kind than the field wants.
_ANYTHING = st.sampled_from(
    [
        CANARY,
        f"{CANARY}\ud800",
        [CANARY],
        [[CANARY]],
        {CANARY: CANARY},
        {"value": CANARY},
        Decimal("70077.007007"),
        70077.007007,
        float("nan"),
        7007707007007700700770070077,
        dt.datetime(7007, 7, 7, 7, 7),  # noqa: DTZ001 - a naive one is the mistake
        CANARY.encode(),
        True,
    ]
)
_LEAKS = (CANARY, "7007", "7, 7")


@pytest.mark.parametrize(
    "model",
    [
        models.CustomerWrite,
        models.Customer,
        models.Document,
        models.ArItem,
        models.WriteResponse,
        models.PageSummary,
        models.Token,
    ],
)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_error_shows_a_value(model, data) -> None:
    """Whatever is wrong with whatever field, no value of the record stands in the error or its traceback."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    record = data.draw(st.dictionaries(st.sampled_from(names), _ANYTHING, min_size=1, max_size=6))
    error = _error_of(model, record)
    shown = "".join([*traceback.format_exception(error), str(error), repr(error), repr(error.errors)]) if error else ""
    assert not [leak for leak in _LEAKS if leak in shown]


def _error_of(model, record) -> InvalidRecordError | None:
    try:
        model.from_wire(record)
    except InvalidRecordError as error:
        return error
    return None


@pytest.mark.parametrize("body", [None, [], "text", 5, Decimal("1.5")])
def test_what_is_no_object_is_refused(body) -> None:
    """A body of another kind than an object is an error of ours."""
    with pytest.raises(InvalidRecordError, match=r"must be|should be|valid"):
        models.Customer.from_wire(body)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("limitAmount", 0.1, "exact number"),
        ("limitAmount", True, "exact number"),
        ("limitAmount", "a lot", "must be a number such as"),
        ("limitAmount", "NaN", "finite"),
        ("limitAmount", Decimal("Infinity"), "finite"),
        ("limitAmount", "1e31", "sane size"),
        ("limitAmount", "0e-31", "sane size"),
        ("limitAmount", [], "must be a number"),
        ("dueDays", "soon", "must be a whole number"),
        ("dueDays", Decimal("1.5"), "must be a whole number"),
        ("vatLiable", "perhaps", "must be true or false"),
        ("name", 5, "must be text"),
        ("customerNo", "", "at least 1 character"),
        ("emailAddressDocument", "a@b.no", "must be a list"),
        ("postalAddress", "Oslo", "must be an object"),
        ("stopReminderUntil", "31.12.2026", "must be a date written YYYY-MM-DD"),
        ("stopReminderUntil", "2026-02-30", "must be a day that exists"),
        ("stopReminderUntil", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "must be a date written YYYY-MM-DD"),
        ("stopReminderUntil", 20260101, "must be a date written YYYY-MM-DD"),
    ],
)
def test_a_wrong_value_is_explained_in_plain_words(field: str, value, says: str) -> None:
    """The error names the field by its wire name and says what it must be."""
    with pytest.raises(InvalidRecordError) as caught:
        models.CustomerWrite.from_wire({"customerNo": "1", field: value})
    (issue,) = caught.value.errors
    assert issue.field.split(".")[0] == field
    assert says in issue.message


@pytest.mark.parametrize(
    ("value", "wire"),
    [(dt.date(2026, 12, 31), "2026-12-31"), ("2026-12-31", "2026-12-31"), ("0001-01-01", "0001-01-01")],
)
def test_a_day_is_written_as_arm_writes_it(value, wire: str) -> None:
    """Dates and their text are the same thing."""
    record = models.CustomerWrite.from_wire({"customerNo": "1", "stopReminderUntil": value})
    assert record.to_wire()["stopReminderUntil"] == wire


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ("2025-02-27T17:03:36.176+01:00", "2025-02-27T17:03:36.176+01:00"),
        ("2025-02-27T17:03:36+01:00", "2025-02-27T17:03:36.000+01:00"),
        ("2025-02-27T17:03:36.176400+01:00", "2025-02-27T17:03:36.176400+01:00"),
        (dt.datetime(2025, 2, 27, tzinfo=dt.UTC), "2025-02-27T00:00:00.000+00:00"),
    ],
)
def test_a_moment_keeps_its_offset_and_its_microseconds(value, wire: str) -> None:
    """Timestamps are written with milliseconds and offset, and with more only where there is more."""
    assert models.ArItem.from_wire({"arItemId": "1", "createdTime": value}).to_wire()["createdTime"] == wire


@pytest.mark.parametrize("value", ["2025-02-27T17:03:36", "yesterday", 1740672216, dt.datetime(2025, 1, 1)])  # noqa: DTZ001
def test_a_moment_without_an_offset_is_refused(value) -> None:
    """Nobody knows which moment it is."""
    with pytest.raises(InvalidRecordError, match="createdTime: must be a timestamp with an offset"):
        models.ArItem.from_wire({"arItemId": "1", "createdTime": value})


def test_wire_names_stand_in_the_models_order() -> None:
    """Column orders of exports come from here."""
    assert models.wire_names(models.ArItem)[:5] == (
        "clientNo",
        "accountNo",
        "referenceNo",
        "referenceSequenceNo",
        "arItemId",
    )
    assert models.wire_names(models.Token)[0] == "access_token"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"summary": {}, "things": [1]}, ("things", [1])),
        ({"errors": [1], "things": []}, ("things", [])),
        ({"a": [1], "b": [2]}, None),
        ({"errors": [1]}, None),
        ({}, None),
    ],
)
def test_the_only_list_of_a_body_is_found_by_its_kind(body, found) -> None:
    """The list of records is found whatever its name, and never guessed among several."""
    assert find_only_list(body, frozenset({"errors"})) == found


def test_a_token_shows_no_secret(example) -> None:
    """Neither text nor repr of a token holds it."""
    token = models.Token.from_wire(example("identity_token_200"))
    assert token.access_token not in f"{token!r} {token}"
