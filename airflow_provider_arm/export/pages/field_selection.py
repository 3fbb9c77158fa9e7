"""The fields of a list that go into a file: the arguments ``columns`` and ``mask``."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import wire_names
from airflow_provider_arm.export.pages.submittable import SubmittableFields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_arm.export.pages.record_types import RecordType

#: The value of ``columns`` for the fields that can be submitted again.
SUBMITTABLE = "submittable"


@dataclass(frozen=True, slots=True)
class FieldSelection:
    """The fields of a record that go into the file."""

    #: Selected columns, or ``None`` for all: in JSON lines all that ARM returns, otherwise those of the model.
    chosen: tuple[str, ...] | None = None
    #: Fields that are null in the file.
    masked: frozenset[str] = frozenset()
    #: Whether the records are converted to those that can be submitted again.
    is_submittable: bool = False

    @property
    def is_all(self) -> bool:
        """Whether JSON lines contain the records exactly as ARM wrote them."""
        return self.chosen is None and not self.masked

    def columns(self, record_type: RecordType) -> tuple[str, ...]:
        """Return the columns of a table.

        :raises ArmConfigurationError: no columns are selected, and the list has no model.
        """
        if self.chosen is not None:
            return self.chosen
        if record_type.model is None:
            msg = f"columns are required: the fields of {record_type.name} are not published (.jsonl needs no columns)"
            raise ArmConfigurationError(msg)
        return wire_names(record_type.model)


def select_fields(
    record_type: RecordType, columns: Iterable[str] | None = None, mask: Iterable[str] = (), *, is_table: bool = False
) -> FieldSelection:
    """Check the arguments ``columns`` and ``mask``, and return the selection.

    :param is_table: the file is CSV or Parquet; the columns of a submittable group then have dotted names.
    :raises ArmConfigurationError: a column is duplicated, or a field does not exist: with a typo in its name a column
        would be empty, and a field to mask would be exported.
    """
    for argument, value in (("columns", columns), ("mask", mask)):
        if isinstance(value, str) and (argument, value) != ("columns", SUBMITTABLE):
            raise ArmConfigurationError(f"{argument} must be a list of field names, not text")
    if columns == SUBMITTABLE:
        return _select_submittable(record_type, tuple(mask), is_table=is_table)
    chosen = None if columns is None else tuple(columns)
    if chosen is not None and (not chosen or len(set(chosen)) != len(chosen)):
        raise ArmConfigurationError("columns must have at least one field and no duplicates")
    masked = tuple(mask)
    for argument, names in (("columns", chosen or ()), ("mask", masked)):
        _check_names(record_type, argument, names)
    return FieldSelection(chosen, frozenset(masked))


def _check_names(record_type: RecordType, argument: str, names: Iterable[str]) -> None:
    """Check that the fields exist, as far as the fields of the list are known."""
    known = {name.casefold(): name for name in record_type.fields}
    for name in names:
        if record_type.model is None or name in record_type.fields:
            continue
        similar = get_close_matches(str(name).replace("_", "").casefold(), known, 1)
        hint = f"did you mean {known[similar[0]]}?" if similar else f"its fields are {', '.join(record_type.fields)}"
        raise ArmConfigurationError(
            f"{argument}: {record_type.name} have no field {name}: {hint} (Names are case-sensitive. A field that this "
            "version does not know is in a .jsonl file without columns and mask.)"
        )


def _select_submittable(record_type: RecordType, mask: tuple[str, ...], *, is_table: bool) -> FieldSelection:
    fields = SubmittableFields(record_type)
    _check_names(record_type, "mask", mask)
    if is_table:
        masked = frozenset(column for name in mask if name in fields.names for column in fields.expand(name))
        return FieldSelection(fields.columns(), masked, is_submittable=True)
    return FieldSelection(fields.names, frozenset(mask), is_submittable=True)
