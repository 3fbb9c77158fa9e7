"""Rules for the values of a source, by the kind of field: what is read, and what is refused with which sentence.

Every value of every format passes here before its model. Spreadsheets, pandas and Spark damage values: they write a
number in E-notation, a word for a missing value, an error of a formula. Such a value is never sent as if it were right.
The table of the rules is in ``docs/submitting.md``; a test reads its examples.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_arm.client.errors import FieldIssue
from airflow_provider_arm.client.keys import INVISIBLE, fold
from airflow_provider_arm.submission.sources.field_types import (
    KEY_NAMES,
    FieldKind,
    as_model,
    field_kind,
    list_fields,
    list_item_type,
)

if TYPE_CHECKING:
    from airflow_provider_arm.client.models import ArmModel

#: Words that programs write for a missing value. In text they count only in this case: Null and None are names.
NULL_WORDS = ("nan", "NaN", "NaT", "<NA>", "NULL", "null", "None", "\\N")
#: More of them, which count in identifiers and numbers, in any case.
_MORE_NULL_WORDS = ("na", "n/a", "nil", "(null)", "undefined", "-nan", "inf", "-inf", "infinity")
#: Errors of formulas in Excel (English, Norwegian, Danish, Swedish, German), Google Sheets and LibreOffice, and a
#: number that its column is too narrow for.
_ERROR_WORDS = (
    *(
        f"#{word}"
        for word in (
            *("N/A", "N/A N/A", "NA", "REF!", "VALUE!", "DIV/0!", "NAME?", "NUM!", "NULL!", "SPILL!", "CALC!"),
            *("BLOCKED!", "CONNECT!", "UNKNOWN!", "FIELD!", "BUSY!", "ERROR!", "EXTERNAL!", "PYTHON!", "TIMEOUT!"),
            *("GETTING_DATA", "I/T", "VERDI!", "NAVN?", "OVERFLYT!", "BEREGN!", "FELT!", "VÆRDI!", "REFERENCE!"),
            *("SAKNAS!", "VÄRDEFEL!", "REFERENS!", "NAMN?", "OGILTIGT!", "NV", "WERT!", "BEZUG!", "ZAHL!"),
        )
    ),
    *("#" * width for width in range(3, 256)),
)
_FOLDED_NULL_WORDS = frozenset(word.casefold() for word in NULL_WORDS + _MORE_NULL_WORDS)
_FOLDED_ERROR_WORDS = frozenset(word.casefold() for word in _ERROR_WORDS)
_LIBREOFFICE_ERROR = re.compile(r"Err:\d{3}", re.ASCII)

#: A float as programs write it. Without a point and a sign, only with one digit before and two after the E: 12E5 is an
#: identifier.
_E_NOTATION = re.compile(r"[+-]?(?:\d+[.,]\d*E[+-]?\d+|\d+E[+-]\d+|\dE\d\d+)", re.IGNORECASE)
_WHOLE_FLOAT = re.compile(r"[+-]?\d+[.,]0+")
_MARKED_NUMBER = re.compile(r"'[\d.,:/ +-]+")
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")
_HIDDEN_IN_KEY = re.compile(rf"^\s|\s\Z|[{INVISIBLE}]|[^\S ]")
#: Control characters but tab and line break, and halves of surrogate pairs.
_BAD_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
#: What any identifier that is refused contains; some that are not refused contain it, too.
SUSPICIOUS_IDENTIFIER = re.compile(
    r"^[+-]?\d[\d.,]*(?:E[+-]?\d+|[.,]0+)\Z|^\s|\s\Z|^['=#]|^err:|[^ -~]|^(?:"
    + "|".join([*map(re.escape, _FOLDED_NULL_WORDS), *(name.replace("_", "") for name in KEY_NAMES)])
    + r")\Z",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
#: With a decimal comma, and groups of three digits after a blank or point.
_LOCAL_AMOUNT = re.compile(
    r"[+-]?(?:\d+|\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+|\d{1,3}(?:\.\d{3})+(?=,))(?:,\d+)?", re.ASCII
)
#: One mark before three digits: groups in one country, decimals in another.
_AMBIGUOUS_AMOUNT = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
#: A whole number with more digits is none that ARM counts with.
_MAX_DIGITS = 18
_WHOLE = re.compile(rf"([+-]?\d{{1,{_MAX_DIGITS}}})(?:[.,]0+)?", re.ASCII)
_ISO_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?", re.ASCII)
_POINT_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?: 00:00(?::00)?)?", re.ASCII)
_DAY_NUMBER = re.compile(r"\d{5}(?:[.,]\d+)?", re.ASCII)
_FLAGS = {
    **dict.fromkeys(("true", "sann", "ja", "yes", "1", "y", "t", "on"), True),
    **dict.fromkeys(("false", "usann", "nei", "no", "0", "n", "f", "off"), False),
}

NULL_WORD = "is a word for a missing value, such as nan or NULL: leave it empty, in JSON leave the key out"
ERROR_WORD = "is an error of a spreadsheet, such as #N/A: correct it in the spreadsheet"
E_NOTATION = (
    "is in E-notation, such as 1.2E+11, so its last digits are lost: write all digits; in a spreadsheet as text"
)
WHOLE_FLOAT = "ends in .0, so it was a number and may have lost zeros and digits: write it as text"
TEXT_MARKER = """has a spreadsheet's mark for text (' or ="..."): write the value alone"""
CONTROL_CHARACTER = "contains a control character, or half a surrogate pair: remove it"
HIDDEN = "begins or ends with white space, or contains an invisible character: remove it, it would be another key"
REPEATED_HEADER = "repeats the header: remove the row"
FOREIGN_DIGIT = "contains digits other than 0 to 9: write it with these"
NUMBER_FOR_TEXT = "must be text: a number has no leading zeros, and a float may have lost digits"
AMBIGUOUS_AMOUNT = "may be thousands or decimals: write it without groups, or with two decimals, such as 1234,00"
NOT_AN_AMOUNT = (
    'must be a number such as "1250.00", with digits, a point and a minus in front only; a decimal comma is read in a '
    ".csv file with semicolons or tabs"
)
NOT_A_DATE = "must be a date in the form YYYY-MM-DD, without a time"
DAY_NUMBER = "is a spreadsheet's number of a day: format the cell as a date, YYYY-MM-DD"
NOT_A_WHOLE_NUMBER = "must be a whole number"
NOT_A_FLAG = "must be true or false (also 1 or 0, ja or nei, SANN or USANN)"
SEVERAL_ADDRESSES = "has several addresses in one: separate them with | in a .csv file, as a list in other formats"


def _raise_for_damage(text: str) -> None:
    """Raise ``ValueError`` for the words and marks of programs."""
    folded = text.strip().casefold()
    if folded in _FOLDED_ERROR_WORDS or _LIBREOFFICE_ERROR.fullmatch(text):
        raise ValueError(ERROR_WORD)
    if folded in _FOLDED_NULL_WORDS:
        raise ValueError(NULL_WORD)
    if text.startswith(("'", "=")):
        raise ValueError(TEXT_MARKER)


def has_plain_characters(text: str) -> bool:
    """Return whether text has no control characters and no halves of surrogate pairs."""
    return text.isprintable() or not _BAD_CHARACTER.search(text)


def _read_text(text: str) -> str:
    if text in NULL_WORDS:
        raise ValueError(NULL_WORD)
    return _read_json_text(text)


def _read_json_text(text: str) -> str:
    """Return text from JSON, which has a null of its own: there, a word for a missing value is a word."""
    if text.startswith("#") and text.casefold() in _FOLDED_ERROR_WORDS:
        raise ValueError(ERROR_WORD)
    if text.startswith('="') or _MARKED_NUMBER.fullmatch(text):
        raise ValueError(TEXT_MARKER)
    return text


def _read_identifier(text: str) -> str:
    _raise_for_damage(text)
    if _E_NOTATION.fullmatch(text.strip()):
        raise ValueError(E_NOTATION)
    if _WHOLE_FLOAT.fullmatch(text.strip()):
        raise ValueError(WHOLE_FLOAT)
    if _FOREIGN_DIGIT.search(text):
        raise ValueError(FOREIGN_DIGIT)
    return text


def _read_key(text: str) -> str:
    _read_identifier(text)
    if _HIDDEN_IN_KEY.search(text):
        raise ValueError(HIDDEN)
    return text


def read_amount(text: str) -> str:
    """Return a plain amount, such as ``1250.00``.

    :raises ValueError: it is written in another way; the message is the rule's sentence.
    """
    if _AMOUNT.fullmatch(text):
        return text
    plain = text.strip()
    if _AMOUNT.fullmatch(plain):
        return plain
    _raise_for_damage(text)
    raise ValueError(E_NOTATION if _E_NOTATION.fullmatch(plain) else NOT_AN_AMOUNT)


def read_local_amount(text: str) -> str:
    """Return a plain amount for one from a file in which the comma does not separate cells, such as ``1 250,00``.

    :raises ValueError: as :func:`read_amount`, and where a mark may mean thousands or decimals.
    """
    plain = text if text.isascii() else text.replace("\u2212", "-")
    plain = plain.strip()
    if _AMBIGUOUS_AMOUNT.fullmatch(plain):
        raise ValueError(AMBIGUOUS_AMOUNT)
    if _LOCAL_AMOUNT.fullmatch(plain):
        whole, _, decimals = plain.partition(",")
        return re.sub(r"[^\d+-]", "", whole) + (f".{decimals}" if decimals else "")
    return read_amount(plain)


def read_whole(text: str) -> int:
    """Return a whole number; a float's ``.0`` is ignored. Raises as :func:`read_amount`."""
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)
    if found := _WHOLE.fullmatch(text.strip()):
        return int(found[1])
    _raise_for_damage(text)
    raise ValueError(NOT_A_WHOLE_NUMBER)


def read_date(text: str) -> str:
    """Return a date in ISO form, from that form or from DD.MM.YYYY; a midnight is ignored. Raises as the others."""
    plain = text.strip()
    if found := _ISO_DATE.fullmatch(plain):
        return found[1]
    if found := _POINT_DATE.fullmatch(plain):
        return f"{found[3]}-{found[2]:0>2}-{found[1]:0>2}"
    _raise_for_damage(text)
    raise ValueError(DAY_NUMBER if _DAY_NUMBER.fullmatch(plain) else NOT_A_DATE)


def read_flag(text: str) -> bool:
    """Return a flag from its English or Norwegian word, or 1 or 0. Raises as :func:`read_amount`."""
    flag = _FLAGS.get(text)
    if flag is None:
        flag = _FLAGS.get(text.strip().casefold())
    if flag is None:
        _raise_for_damage(text)
        raise ValueError(NOT_A_FLAG)
    return flag


def has_separator(addresses: str) -> bool:
    """Return whether text contains what separates addresses, and is in none: a comma, a semicolon, white space."""
    return "," in addresses or ";" in addresses or len(addresses.split(maxsplit=1)) > 1


def _read_email(text: str) -> str:
    plain = _read_text(text).strip()
    if plain.count("@") > 1 and has_separator(plain):
        raise ValueError(SEVERAL_ADDRESSES)
    return plain


_READERS: dict[FieldKind, Callable[[str], Any]] = {
    FieldKind.KEY: _read_key,
    FieldKind.IDENTIFIER: _read_identifier,
    FieldKind.AMOUNT: read_amount,
    FieldKind.WHOLE: read_whole,
    FieldKind.DATE: read_date,
    FieldKind.FLAG: read_flag,
    FieldKind.EMAIL: _read_email,
    FieldKind.TEXT: _read_text,
}
_TEXTS = frozenset({FieldKind.KEY, FieldKind.IDENTIFIER, FieldKind.EMAIL, FieldKind.TEXT})


def read_value(kind: FieldKind | None, value: Any, *, is_json: bool = False) -> Any:
    """Return a value as the model of its record reads it. Values that are no text are left to the model, but for NaN.

    :param kind: ``None`` if the field is not documented: only its characters are checked.
    :raises ValueError: the value is refused; the message is the rule's sentence, without the value.
    """
    if isinstance(value, str):
        if not has_plain_characters(value):
            raise ValueError(CONTROL_CHARACTER)
        if kind is None or not value:
            return value
        return _read_json_text(value) if is_json and kind is FieldKind.TEXT else _READERS[kind](value)
    if isinstance(value, float | dt.date) and value != value:  # noqa: PLR0124 - true for NaN and pandas.NaT only
        raise ValueError(NULL_WORD)
    if kind in _TEXTS and isinstance(value, int | float):
        raise ValueError(NUMBER_FOR_TEXT)
    if kind is FieldKind.DATE and isinstance(value, dt.datetime):
        if value.tzinfo is not None or value.time() != dt.time():
            raise ValueError(NOT_A_DATE)
        return value.date()
    return value


class _Field(NamedTuple):
    """A field of a record; with neither kind nor group if its content is not documented."""

    name: str
    kind: FieldKind | None
    group: ValueReader | None


class ValueReader:
    """Reader of the values of one type of record, from JSON text or another format."""

    def __init__(self, model: type[ArmModel] | None, *, is_json: bool) -> None:
        self.is_json = is_json
        self._fields: dict[str, _Field] = {}
        for name, wire_name, annotation in () if model is None else list_fields(model):
            item = list_item_type(annotation) or annotation
            group = as_model(item)
            field = _Field(
                wire_name, field_kind(name, item), None if group is None else value_reader(group, is_json=is_json)
            )
            self._fields[name] = self._fields[wire_name] = field

    def read(self, record: Mapping[str, Any], place: str, issues: list[FieldIssue]) -> dict[str, Any]:
        """Return the record with its values as the model reads them; append to *issues* what is refused.

        :param place: of the record in the one that contains it, for the issues.
        """
        result = {}
        for key, value in record.items():
            field = self._fields.get(key, _Field(str(key), None, None))
            result[key] = self._read_field(field, value, place + field.name, issues)
        return result

    def _read_field(self, field: _Field, value: Any, place: str, issues: list[FieldIssue]) -> Any:
        if isinstance(value, list | tuple):
            return [self._read_field(field, item, f"{place}.{index}", issues) for index, item in enumerate(value)]
        if isinstance(value, Mapping):
            reader = field.group or value_reader(None, is_json=self.is_json)
            return reader.read(value, f"{place}.", issues)
        try:
            if field.kind is FieldKind.KEY and isinstance(value, str) and fold(value) == fold(field.name):
                raise ValueError(REPEATED_HEADER)  # noqa: TRY301 - collected with the others
            return read_value(field.kind, value, is_json=self.is_json)
        except ValueError as error:
            issues.append(FieldIssue(place, str(error)))
            return value


@cache
def value_reader(model: type[ArmModel] | None, *, is_json: bool = False) -> ValueReader:
    """Return the reader of the values of a model's records; ``None``: of records whose fields are not documented."""
    return ValueReader(model, is_json=is_json)
