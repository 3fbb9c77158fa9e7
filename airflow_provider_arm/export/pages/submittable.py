"""Records in the form in which ``BatchSubmitOperator`` accepts them: without what only ARM can write."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import wire_names
from airflow_provider_arm.export.pages.page_stats import invalid_records_error
from airflow_provider_arm.export.pages.record_types import FieldType, group_model, is_text_list, model_fields
from airflow_provider_arm.export.pages.texts import fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.export.pages.record_types import RecordType
    from airflow_provider_arm.export.pages.texts import Fields

#: Separates the items of a list in a cell of a .csv source.
_LIST_SEPARATOR = "|"
_NULL = b"null"
_EMPTY_TEXT = msgspec.Raw(b'""')
_items: msgspec.json.Decoder[list[str]] = msgspec.json.Decoder(list[str])


@dataclass(frozen=True)
class SubmittableFields:
    """The fields of a list's records that can be submitted again.

    :raises ArmConfigurationError: records of this list cannot be updated.
    """

    record_type: RecordType

    def __post_init__(self) -> None:
        """Check that the records can be updated."""
        if self.record_type.write_model is None:
            raise ArmConfigurationError(
                f"columns='submittable' is for customers: {self.record_type.name} cannot be submitted as an update"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the model."""
        accepted = set(wire_names(self.record_type.write_model)) if self.record_type.write_model else set()
        return tuple(name for name in self.record_type.fields if name in accepted)

    @property
    def read_only(self) -> tuple[str, ...]:
        """The names of the fields that ARM only returns."""
        return tuple(name for name in self.record_type.fields if name not in self.names)

    @cached_property
    def groups(self) -> Mapping[str, Mapping[str, FieldType]]:
        """The types of the fields of each group, such as the postal address."""
        models = {name: group_model(self.record_type.annotation(name)) for name in self.names}
        return {name: model_fields(model) for name, model in models.items() if model is not None}

    @cached_property
    def text_lists(self) -> frozenset[str]:
        """The fields that are lists of text."""
        return frozenset(name for name in self.names if is_text_list(self.record_type.annotation(name)))

    def columns(self) -> tuple[str, ...]:
        """Return the columns of a table; those of a group have dotted names."""
        return tuple(column for name in self.names for column in self.expand(name))

    def expand(self, name: str) -> tuple[str, ...]:
        """Return the columns of a field."""
        return tuple(f"{name}.{inner}" for inner in self.groups[name]) if name in self.groups else (name,)

    def convert(self, record: Fields, *, is_table: bool, joins_lists: bool) -> dict[str, Any]:
        """Return a record without null and without read-only fields. A group with a value is complete.

        ARM replaces a group as a whole, so that a text that is null becomes ``""``, which is what ARM has.

        :param is_table: return the fields of a group under dotted names.
        :param joins_lists: return a list as one text with ``|`` between its items.
        :raises InvalidDataError: an item of a list contains the separator.
        :raises ValueError: a field is of another type.
        """
        converted: dict[str, Any] = {}
        for name in self.names:
            raw = record.get(name)
            if raw is None or raw == _NULL:
                continue
            if name in self.groups:
                group = self._complete_group(name, raw)
                converted |= {f"{name}.{inner}": value for inner, value in group.items()} if is_table else {name: group}
            elif joins_lists and name in self.text_lists:
                converted[name] = self._join(name, raw)
            else:
                converted[name] = raw
        return converted

    def _complete_group(self, name: str, raw: msgspec.Raw) -> Fields:
        [given] = fields_of([raw])
        known = {inner: given[inner] for inner in self.groups[name] if inner in given and given[inner] != _NULL}
        if not known:
            return {}
        texts = (inner for inner, field_type in self.groups[name].items() if field_type is FieldType.TEXT)
        return dict.fromkeys(texts, _EMPTY_TEXT) | known

    def _join(self, name: str, raw: msgspec.Raw) -> str:
        items = _items.decode(raw)
        if any(_LIST_SEPARATOR in item for item in items):
            fault = f"a {name} with {_LIST_SEPARATOR}, which separates the items of a list in a .csv source"
            raise invalid_records_error(self.record_type, fault)
        return _LIST_SEPARATOR.join(items)
