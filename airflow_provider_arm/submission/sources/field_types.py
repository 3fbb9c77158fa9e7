"""The fields of a model, and the columns of a table that contain them."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_arm.client.models import ArmModel


class Column(NamedTuple):
    """A column of a table and the field that it contains."""

    #: Wire names of the models around the field, outermost first.
    groups: tuple[str, ...]
    name: str
    #: Converts a value; ``None`` if values need no conversion.
    convert: Callable[[Any], Any] | None
    is_text: bool = False
    position: int = -1

    @property
    def header(self) -> str:
        """The dotted name of the field."""
        return ".".join((*self.groups, self.name))

    def set(self, record: dict[str, Any], value: Any) -> None:
        """Set the field, with the groups around it."""
        for group in self.groups:
            record = record.setdefault(group, {})
        record[self.name] = value


def list_fields(model: type[ArmModel]) -> Iterator[tuple[str, str, Any]]:
    """Yield name, wire name and type, without ``None``, of each field of a model.

    :raises LookupError: a field is a union of more than one type and ``None``.
    """
    for name, field in model.model_fields.items():
        yield name, field.alias or name, strip_optional(field.annotation)


def strip_optional(annotation: Any) -> Any:
    """Return ``X`` for ``X | None``; raise ``LookupError`` if more than one type is left."""
    arguments = get_args(annotation)
    if NoneType not in arguments:
        return annotation
    types = [argument for argument in arguments if argument is not NoneType]
    if len(types) != 1:
        raise LookupError("a union of more than one type and None")
    return types[0]


def list_item_type(annotation: Any) -> Any:
    """Return ``X`` for ``list[X]``, ``None`` for anything else."""
    return get_args(annotation)[0] if get_origin(annotation) is list else None


def as_model(annotation: Any) -> type[ArmModel] | None:
    """Return the annotation if it is a model, else ``None``."""
    return annotation if isinstance(annotation, type) and hasattr(annotation, "model_fields") else None
