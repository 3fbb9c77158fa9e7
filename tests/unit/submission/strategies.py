"""Hypothesis strategies for valid and corrupted records of any model."""

from __future__ import annotations

import copy
import datetime as dt
import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from airflow_provider_arm.client.models import Amount, ArmModel, Day, PostalAddress
from airflow_provider_arm.submission.sources.cells import NULL_WORDS
from airflow_provider_arm.submission.sources.field_types import (
    FieldKind,
    as_model,
    field_kind,
    list_fields,
    list_item_type,
)

#: Decimals of the amounts, as in a decimal128(28, 4).
PLACES = 4
amounts = st.integers(-(10**15), 10**15).map(lambda units: Decimal(units).scaleb(-PLACES))
_CONTROLS = "".join(map(chr, [*range(9), 11, 12, *range(14, 32)]))
texts = st.text(st.characters(codec="utf-8", exclude_characters=_CONTROLS), max_size=8).filter(
    lambda text: not text.startswith(("#", '="')) and text not in NULL_WORDS
)
_identifiers = st.integers(0, 10**20).map(str) | st.integers(0, 99).map("INV-1/{}+b".format)
_emails = st.integers(0, 99).map("kåre{}@example.no".format)
#: By the kind of the field.
_TEXTS = {
    FieldKind.KEY: _identifiers,
    FieldKind.IDENTIFIER: _identifiers | st.just(""),
    FieldKind.EMAIL: _emails,
    FieldKind.TEXT: texts,
}


def values(name: str, annotation: Any, *, loose: bool) -> st.SearchStrategy[Any]:
    """Return a strategy for valid values of a field, as in JSON.

    :param name: Python name of the field.
    """
    if annotation == Amount:
        return amounts
    if annotation == Day:
        return st.dates().map(dt.date.isoformat)
    if (group := as_model(annotation)) is not None:
        return valid_records(group, loose=loose)
    if (member := list_item_type(annotation)) is not None:
        return st.lists(values(name, member, loose=loose), max_size=3)
    if annotation is object:
        return st.recursive(texts | amounts | st.none(), lambda inner: st.dictionaries(texts, inner), max_leaves=3)
    if annotation is str:
        return _TEXTS[field_kind(name, annotation)]
    return {int: st.integers(-(2**63), 2**63 - 1), bool: st.booleans()}[annotation]


def valid_records(model: type[ArmModel], *, loose: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for valid records with wire names.

    :param loose: include fields whose content is not documented.
    """
    required, optional = {}, {}
    for name, wire_name, annotation in list_fields(model):
        if list_item_type(annotation) is object and not loose:
            continue
        of_field = values(name, annotation, loose=loose)
        if model.model_fields[name].is_required():
            required[wire_name] = of_field.filter(bool)
        else:
            (required if model is PostalAddress else optional)[wire_name] = of_field
    return st.fixed_dictionaries(required, optional=optional)


class Token(str):
    """JSON text that is written unchanged."""

    __slots__ = ()


NUMBERS = ["0", "-0", "-0.0", "1.10", "14.0", "1e5", "1E-30", "1e-31", "1e31", "0e-999", "1e999", "9" * 40, "NaN", "01"]
WORDS = ["", "1.10", " 1 ", "1_0", "NaN", "-Infinity", "1e999", "0e-999", "14", "true", "null", "1,10", "٣"]
DAYS = ["2025-02-28", "2025-02-30", "0000-01-01", "2025-02-28T00:00:00", "20250228", "٢٠٢٥-02-28", "2025-2-8"]
#: Values that may be invalid, for JSON text.
invalid_json_values = (
    st.sampled_from([None, True, False, [], {}, [None], ["a", None], [[]], {"a": 1}])
    | st.sampled_from(NUMBERS).map(Token)
    | st.sampled_from([*WORDS, *DAYS])
    | st.sampled_from(['"\\ud800"', '"\\u0041"', '"\x00"', "tru", "[1", '{"a":1,"a":2}']).map(Token)
)
#: The same for records in memory, with values that JSON does not have.
non_json_values = (
    st.sampled_from([1.5, 14.0, float("nan"), Decimal("NaN"), Decimal("0E-999"), Decimal("-0"), Decimal(14), 10**40])
    | st.sampled_from(["\ud800", b"a", ("a",), {"a"}, {1: "a"}, [0.5], {"a": 0.5}, [b"a"], object])
    | st.sampled_from([dt.date(2025, 2, 28), dt.datetime(2025, 2, 28, tzinfo=dt.UTC), dt.datetime(2025, 2, 28)])  # noqa: DTZ001
    | invalid_json_values
)
NAMES = ["customer_no", "due_date", "limit_amount", "_row", "accountNo", "account_no", "Name", "", "newField", "name"]


@st.composite
def corrupted_records(draw: st.DrawFn, model: type[ArmModel], wrong: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Return a valid record with one to three changes at any depth."""
    record = draw(valid_records(model))
    for _ in range(draw(st.integers(1, 3))):
        target: Any = record
        while inner := [value for value in _members(target) if isinstance(value, dict | list)]:
            if draw(st.booleans()):
                break
            target = draw(st.sampled_from(inner))
        _change(draw, target, wrong)
    return record


def _members(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value)


def _change(draw: st.DrawFn, target: Any, wrong: st.SearchStrategy[Any]) -> None:
    # The same object may be drawn more than once.
    new = copy.deepcopy(draw(wrong))
    if isinstance(target, list):
        target.append(new)
    elif target and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(target, key=str)))
        if draw(st.booleans()):
            target[key] = new
        else:
            del target[key]
    else:
        target[draw(st.sampled_from(NAMES))] = new


def as_json(value: Any) -> str:
    """Return JSON text with all digits and unchanged tokens."""
    if isinstance(value, Token | Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}:{as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
