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
    """ARM adds fields: they are written back unchanged."""
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
    """A missing key stays missing and a null stays null: in an update both keep the value at ARM, and "" does not."""
    assert models.CustomerWrite.from_wire(record).to_wire() == record


def test_python_names_are_accepted_and_wire_names_written() -> None:
    """A record may have Python names; on the wire they are camelCase."""
    assert to_wire(models.CustomerWrite, {"customer_no": "1", "limit_amount": "2000.50"}) == {
        "customerNo": "1",
        "limitAmount": Decimal("2000.50"),
    }


@pytest.mark.parametrize("given", [["postalCode"], ["cityName", "countryCode"], ADDRESS_FIELDS[1:], []])
def test_partial_postal_address_raises_with_the_reason(given: list[str]) -> None:
    """ARM would clear the missing fields, so the error lists exactly these and the alternatives."""
    with pytest.raises(InvalidRecordError) as caught:
        models.CustomerWrite.from_wire({"customerNo": "1", "postalAddress": dict.fromkeys(given, CANARY)})
    missing = [name for name in ADDRESS_FIELDS if name not in given]
    assert f"would clear {', '.join(missing)};" in str(caught.value)
    assert CANARY not in str(caught.value)


@settings(deadline=None)
@given(st.sets(st.sampled_from(ADDRESS_FIELDS)), st.sets(st.sampled_from(ADDRESS_FIELDS)))
def test_postal_address_is_accepted_only_if_complete(missing: set[str], null: set[str]) -> None:
    """It needs all seven fields, empty or not, and none may be null."""
    address = {name: None if name in null else "" for name in ADDRESS_FIELDS if name not in missing}
    record = {"customerNo": "1", "postalAddress": address}
    if missing or null:
        with pytest.raises(InvalidRecordError, match="postalAddress is incomplete"):
            models.CustomerWrite.from_wire(record)
    else:
        assert models.CustomerWrite.from_wire(record).to_wire() == record


@pytest.mark.parametrize("address", [None, WHOLE_ADDRESS, WHOLE_ADDRESS | {"addressLine4": "y"}])
def test_null_or_complete_postal_address_is_accepted(address) -> None:
    """Null keeps ARM's address; a complete one may have unknown keys."""
    record = {"customerNo": "1", "postalAddress": address}
    assert models.CustomerWrite.from_wire(record).to_wire() == record


def test_read_only_fields_are_the_documented_ones() -> None:
    """They are those that the reference lists."""
    assert sorted(models.Customer.model_fields[name].alias or name for name in READ_ONLY_FIELDS) == sorted(
        DOCUMENTED_READ_ONLY
    )


@pytest.mark.parametrize("alias", DOCUMENTED_READ_ONLY)
@pytest.mark.parametrize("by_alias", [True, False])
def test_read_only_field_in_a_write_raises(alias: str, *, by_alias: bool) -> None:
    """A field that ARM only returns is a mistake in a write, by either name."""
    name = next(key for key in READ_ONLY_FIELDS if models.Customer.model_fields[key].alias == alias)
    with pytest.raises(InvalidRecordError, match=f"{alias} is read-only in ARM"):
        models.CustomerWrite.from_wire({"customerNo": "1", alias if by_alias else name: None})


def test_customer_read_from_arm_raises_when_written(example) -> None:
    """A model with read-only fields raises as a mapping does."""
    with pytest.raises(InvalidRecordError, match="accountNo, clientNo"):
        to_wire(models.CustomerWrite, models.Customer.from_wire(example("customer_get_200")))


@pytest.mark.filterwarnings("error")
def test_changed_write_model_is_validated_again() -> None:
    """A model that was changed after its creation is validated when it is sent, and no warning shows the value."""
    customer = models.CustomerWrite(customer_no="1")
    customer.limit_amount = 0.1
    with pytest.raises(InvalidRecordError, match="limitAmount"):
        to_wire(models.CustomerWrite, customer)


@pytest.mark.parametrize("record", [{"a": 1}, models.ArItem(ar_item_id="1")])
def test_record_without_a_model_is_sent_unchanged(record) -> None:
    """Operations whose body is not published accept any record."""
    assert to_wire(None, record) in ({"a": 1}, {"arItemId": "1"})


def test_batch_error_lists_every_invalid_field_of_every_record() -> None:
    """With position in the batch, field and reason."""
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


# Input of a type that the field does not accept.
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
        dt.datetime(7007, 7, 7, 7, 7),  # noqa: DTZ001 - it must be naive
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
    """Whatever is invalid in any field, no value of the record is in the error or its traceback."""
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
def test_body_that_is_no_object_raises(body) -> None:
    """A body of any other type raises our error."""
    with pytest.raises(InvalidRecordError, match=r"must be|should be|valid"):
        models.Customer.from_wire(body)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("limitAmount", 0.1, "exact number"),
        ("limitAmount", True, "exact number"),
        ("limitAmount", "a lot", "must be a number such as"),
        ("limitAmount", "NaN", "finite"),
        ("limitAmount", Decimal("Infinity"), "finite"),
        ("limitAmount", "1e31", "plausible size"),
        ("limitAmount", "0e-31", "plausible size"),
        ("limitAmount", [], "must be a number"),
        ("dueDays", "soon", "must be a whole number"),
        ("dueDays", Decimal("1.5"), "must be a whole number"),
        ("vatLiable", "perhaps", "must be true or false"),
        ("name", 5, "must be text"),
        ("customerNo", "", "at least 1 character"),
        ("emailAddressDocument", "a@b.no", "must be a list"),
        ("postalAddress", "Oslo", "must be an object"),
        ("stopReminderUntil", "31.12.2026", "must be a date in the form YYYY-MM-DD"),
        ("stopReminderUntil", "2026-02-30", "must be an existing date"),
        ("stopReminderUntil", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "must be a date in the form YYYY-MM-DD"),
        ("stopReminderUntil", 20260101, "must be a date in the form YYYY-MM-DD"),
    ],
)
def test_invalid_value_has_a_plain_message(field: str, value, message: str) -> None:
    """The error has the wire name of the field and what it must be."""
    with pytest.raises(InvalidRecordError) as caught:
        models.CustomerWrite.from_wire({"customerNo": "1", field: value})
    (issue,) = caught.value.errors
    assert issue.field.split(".")[0] == field
    assert message in issue.message


@pytest.mark.parametrize(
    ("value", "wire"),
    [(dt.date(2026, 12, 31), "2026-12-31"), ("2026-12-31", "2026-12-31"), ("0001-01-01", "0001-01-01")],
)
def test_date_is_written_in_arms_format(value, wire: str) -> None:
    """A date and its text are equivalent."""
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
def test_timestamp_keeps_its_offset_and_microseconds(value, wire: str) -> None:
    """It is written with milliseconds and offset, and with microseconds only if there are any."""
    assert models.ArItem.from_wire({"arItemId": "1", "createdTime": value}).to_wire()["createdTime"] == wire


@pytest.mark.parametrize("value", ["2025-02-27T17:03:36", "yesterday", 1740672216, dt.datetime(2025, 1, 1)])  # noqa: DTZ001
def test_timestamp_without_an_offset_raises(value) -> None:
    """Its point in time is not known."""
    with pytest.raises(InvalidRecordError, match="createdTime: must be a timestamp with an offset"):
        models.ArItem.from_wire({"arItemId": "1", "createdTime": value})


def test_wire_names_are_in_the_order_of_the_model() -> None:
    """The column order of exports depends on it."""
    assert models.wire_names(models.ArItem)[:5] == (
        "clientNo",
        "accountNo",
        "referenceNo",
        "referenceSequenceNo",
        "arItemId",
    )
    assert models.wire_names(models.Token)[0] == "access_token"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"summary": {}, "things": [1]}, ("things", [1])),
        ({"errors": [1], "things": []}, ("things", [])),
        ({"a": [1], "b": [2]}, None),
        ({"errors": [1]}, None),
        ({}, None),
    ],
)
def test_only_list_is_found_by_its_type(body, expected) -> None:
    """The list of records may have any key, but is not guessed among several lists."""
    assert find_only_list(body, frozenset({"errors"})) == expected


def test_token_is_not_in_its_repr(example) -> None:
    """Nor in its text."""
    token = models.Token.from_wire(example("identity_token_200"))
    assert token.access_token not in f"{token!r} {token}"
