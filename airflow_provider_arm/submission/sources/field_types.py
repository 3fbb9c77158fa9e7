"""What a model's field holds, read from its annotation."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin

if TYPE_CHECKING:
    from airflow_provider_arm.client.models import ArmModel


def strip_optional(annotation: Any) -> Any:
    """Give ``X`` for ``X | None``.

    :raises LookupError: it is a union of more.
    """
    arguments = get_args(annotation)
    if NoneType not in arguments:
        return annotation
    left = [one for one in arguments if one is not NoneType]
    if len(left) != 1:
        msg = "a union of more than one type and None"
        raise LookupError(msg)
    return left[0]


def list_item_type(annotation: Any) -> Any:
    """Give ``X`` for ``list[X]``, ``None`` for anything else."""
    return get_args(annotation)[0] if get_origin(annotation) is list else None


def as_model_class(annotation: Any) -> type[ArmModel] | None:
    """Give the model that an annotation is, ``None`` for anything else."""
    return annotation if isinstance(annotation, type) and hasattr(annotation, "model_fields") else None
