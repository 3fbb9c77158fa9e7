"""Screen of many records at once: whether the rules of the cells accept them as they are.

A screen is narrower than ``sources.cells``, never wider: what it passes, the reader of the cells returns unchanged.
It works on all values of a field at once, because a call for each value would take longer than reading the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.submission.sources.cells import (
    NULL_WORDS,
    SUSPICIOUS_IDENTIFIER,
    has_plain_characters,
    has_separator,
    read_amount,
)
from airflow_provider_arm.submission.sources.field_types import (
    FieldKind,
    as_model,
    field_kind,
    list_fields,
    list_item_type,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.client.models import ArmModel

_Values = Callable[[Iterable[Any]], Iterator[Any]]

_IDENTIFIERS = (FieldKind.KEY, FieldKind.IDENTIFIER)
_TEXTS = (*_IDENTIFIERS, FieldKind.EMAIL, FieldKind.TEXT)
_NUMBERS = frozenset({Decimal, int, msgspec.UnsetType, NoneType})
_PLAIN_TYPES = frozenset({int, bool, NoneType})
_LIMIT = 10 ** (money.MAX_EXPONENT + 1)
_NULL_WORDS = frozenset(NULL_WORDS)
#: Between texts that are searched at once: printable, and in no word of the rules.
_BETWEEN = "\u00a6"
#: Of an error, of a formula and of a number as text, at the start of a text.
_MARKS = (f"{_BETWEEN}#", f'{_BETWEEN}="', f"{_BETWEEN}'")
#: In JSON text: a control character, ``="`` at the start of a text, or an escaped quote after it.
_DAMAGED_ESCAPE = re.compile(rb'\\(?:u00[01]|[bf]|"(?<="=\\"))')


class Screen:
    """Screen of the structs of one model.

    :param only: wire names of the optional fields that the structs have; ``None``: all.
    """

    def __init__(self, model: type[ArmModel], only: frozenset[str] | None = None) -> None:
        names: dict[tuple[FieldKind | None, bool], list[str]] = {}
        groups: list[tuple[str, bool, Screen]] = []
        for name, wire_name, annotation in list_fields(model):
            if only is not None and wire_name not in only and not model.model_fields[name].is_required():
                continue
            item = list_item_type(annotation)
            kind, group = field_kind(name, item or annotation), as_model(item or annotation)
            if group is None:
                names.setdefault((kind, item is not None), []).append(wire_name)
            else:
                groups.append((wire_name, item is not None, Screen(group)))

        def single(*kinds: FieldKind) -> _Values:
            return _values_of([name for kind in kinds for name in names.get((kind, False), [])])

        def items(*kinds: FieldKind) -> _Values:
            return _items_of([name for kind in kinds for name in names.get((kind, True), [])])

        self._amount_names = names.get((FieldKind.AMOUNT, False), [])
        self._amounts = _values_of(self._amount_names, keep_empty=True)
        self._identifiers = single(*_IDENTIFIERS), items(*_IDENTIFIERS)
        self._other_texts = single(FieldKind.TEXT), items(FieldKind.TEXT)
        self._emails = items(FieldKind.EMAIL)
        self._undocumented = _values_of(names.get((None, True), []))
        self._groups = [
            (_items_of([name]) if is_list else _values_of([name]), screen) for name, is_list, screen in groups
        ]

    def passes(self, records: Sequence[Any], *, is_json: bool = False) -> bool:
        """Return whether all records pass. Amounts in text become numbers.

        :param is_json: the records were JSON text in which :func:`has_damaged_text` found nothing.
        """
        if not self._has_valid_amounts(records, is_json=is_json) or not all(
            map(_is_plain, self._undocumented(records))
        ):
            return False
        identifiers = list(chain.from_iterable(values(records) for values in self._identifiers))
        joined = "".join(identifiers)
        if not (joined.isascii() and joined.encode().isdigit()) and any(map(SUSPICIOUS_IDENTIFIER.search, identifiers)):
            return False
        emails = list(self._emails(records))
        if emails and (has_separator("".join(emails)) or not _NULL_WORDS.isdisjoint(emails)):
            return False
        if not is_json:
            texts = list(chain(emails, *(values(records) for values in self._other_texts)))
            is_text = {str}.issuperset(map(type, chain(identifiers, texts)))
            if not (is_text and _NULL_WORDS.isdisjoint(texts)):
                return False
            joined += _BETWEEN.join(["", *texts])
            if any(mark in joined for mark in _MARKS) or not has_plain_characters(joined):
                return False
        return all(
            screen.passes(members, is_json=is_json)
            for values, screen in self._groups
            if (members := list(values(records)))
        )

    def _has_valid_amounts(self, records: Sequence[Any], *, is_json: bool) -> bool:
        """Return whether all amounts are finite and in range, which the types of a struct cannot express."""
        if not self._amount_names:
            return True
        amounts = list(self._amounts(records))
        kinds = set(map(type, amounts))
        if str in kinds:
            if not all(map(self._convert_amounts, records)):
                return False
            amounts = list(self._amounts(records))
            kinds = set(map(type, amounts))
        if not kinds <= _NUMBERS:
            return False
        if int in kinds and not all(-_LIMIT < amount < _LIMIT for amount in amounts if type(amount) is int):
            return False
        numbers = amounts if kinds == {Decimal} else [amount for amount in amounts if type(amount) is Decimal]
        exponents = set(map(Decimal.adjusted, numbers))
        # Also for zero: 0e-999999999 takes as much memory to write out as any other number.
        if exponents and not -money.MAX_EXPONENT <= min(exponents) <= max(exponents) <= money.MAX_EXPONENT:
            return False
        return is_json or all(map(Decimal.is_finite, numbers))  # JSON has no other numbers

    def _convert_amounts(self, record: Any) -> bool:
        for name in self._amount_names:
            amount = getattr(record, name)
            if type(amount) is str:
                try:
                    setattr(record, name, Decimal(read_amount(amount)))
                except ValueError:
                    return False
        return True


def _is_plain(value: Any) -> bool:
    """Return whether a value whose structure is not documented has only types and text that are sent unchanged."""
    kind = type(value)
    if kind is str:
        return has_plain_characters(value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if kind is list:
        return all(map(_is_plain, value))
    if kind is Decimal:
        return bool(value.is_finite()) and abs(value.adjusted()) <= money.MAX_EXPONENT
    return kind in _PLAIN_TYPES


def has_damaged_text(lines: bytes) -> bool:
    """Return whether JSON text may contain what is refused in any text: a control character, a mark, an error.

    Fast: the bytes that it searches for are rare.
    """
    return (
        (b"#" in lines and b'"#' in lines)
        or (b"'" in lines and b"\"'" in lines)
        or (b"\\" in lines and _DAMAGED_ESCAPE.search(lines) is not None)
    )


def _values_of(names: Sequence[str], *, keep_empty: bool = False) -> _Values:
    """Return a reader of the values that are set; empty ones only with *keep_empty*."""
    if not names:
        return lambda _: iter(())
    get = attrgetter(*names)

    def values(records: Iterable[Any]) -> Iterator[Any]:
        found = map(get, records) if len(names) == 1 else chain.from_iterable(map(get, records))
        return found if keep_empty else filter(None, found)

    return values


def _items_of(names: Sequence[str]) -> _Values:
    """Return a reader of the items of lists, but for empty ones."""
    values = _values_of(names)
    return lambda records: filter(None, chain.from_iterable(values(records)))
