"""Readings profile: every entry that ARM's reference leaves open, or documents in one place only, with its default.

The connection carries a profile (extra ``readings``); every module reads these entries from it and nowhere else. Each
entry has the number of its question in the working contract, and whether its default is documented or assumed.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError, model_validator

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models.base import field_errors
from airflow_provider_arm.client.reading_entries import (
    BatchReadings,
    CallReadings,
    FileReadings,
    FilterReadings,
    GlItemReadings,
    ListReadings,
    PathReadings,
    ReadingsSection,
    RecordKeyReadings,
    WriteReadings,
    default_windows,
)

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


#: Key of a profile for notes of any kind, as in JSON Schema.
COMMENT = "$comment"
#: HTTP statuses that mean the same for every call: credentials, permission, a wrong number, load.
_CODES_OF_ERRORS = frozenset({401, 403, 404, 408, 425, 429})


class Readings(ReadingsSection):
    """A readings profile. Frozen and hashable; equal profiles are equal."""

    batch: BatchReadings = BatchReadings()
    write: WriteReadings = WriteReadings()
    record_keys: RecordKeyReadings = RecordKeyReadings()
    lists: ListReadings = ListReadings()
    filters: FilterReadings = FilterReadings()
    paths: PathReadings = PathReadings()
    gl_items: GlItemReadings = GlItemReadings()
    files: FileReadings = FileReadings()
    calls: CallReadings = CallReadings()

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        batch, write = self.batch, self.write
        words = {
            "batch.pending_words": batch.pending_words,
            "batch.success_words": batch.success_words,
            "batch.partial_words": batch.partial_words,
            "batch.failure_words": batch.failure_words,
        }
        _check_disjoint(words)
        # A record in a batch may have a word of the batch or of a write.
        success, failure = (*batch.success_words, *write.success_words), (*batch.failure_words, *write.failure_words)
        own = {
            "batch.success_words or write.success_words": success,
            "batch.failure_words or write.failure_words": failure,
        }
        _check_disjoint({name: words[name] for name in ("batch.pending_words", "batch.partial_words")} | own)
        codes = {
            "batch.pending_codes": batch.pending_codes,
            "batch.finished_codes": batch.finished_codes,
            "batch.rejected_codes": batch.rejected_codes,
        }
        _check_disjoint(codes)
        if taken := _CODES_OF_ERRORS.intersection(batch.rejected_codes):
            raise ValueError(
                f"batch.rejected_codes contains {min(taken)}, which every call may return for another reason"
            )
        _check_distinct(self._names())
        if not set(batch.success_codes) <= set(batch.finished_codes):
            raise ValueError("batch.success_codes must be among batch.finished_codes")
        if self.filters.created_window not in self.filters.windows:
            raise ValueError(f"filters.created_window: filters.windows has no entry {self.filters.created_window}")
        return self

    def _names(self) -> Iterable[Mapping[str, str | None]]:
        """Yield names that are in one place, a body or a query, by their entries."""
        batch = self.batch.model_dump()
        yield {f"batch.{name}": batch[name] for name in batch if name.endswith("_key") and name != "record_number_key"}
        yield {"batch.record_number_key": self.batch.record_number_key, "write.status_key": self.write.status_key}
        for operation, key in self.record_keys.model_dump().items():
            yield {"write.metadata_key": self.write.metadata_key, f"record_keys.{operation}": key}
        for operation, key in self.lists.record_keys.model_dump().items():
            yield {"lists.summary_key": self.lists.summary_key, f"lists.record_keys.{operation}": key}
        query = {f"lists.parameters.{name}": value for name, value in self.lists.parameters.model_dump().items()}
        for by, window in self.filters.windows.items():
            query |= {f"filters.windows.{by}.first": window.first, f"filters.windows.{by}.last": window.last}
        yield query
        yield {f"gl_items.{name}": value for name, value in self.gl_items.model_dump().items()}

    @classmethod
    def parse(cls, profile: Any, place: str = "readings") -> Readings:
        """Build a profile from the entries that differ from the defaults.

        :param profile: nested mapping, such as ``{"batch": {"success_words": ["COMPLETED"]}}``;
            ``$comment`` is ignored.
        :param place: of the profile, for the message.
        :raises ArmConfigurationError: unknown or invalid entries, or entries that contradict each other; the message
            names them.
        """
        if not isinstance(profile, Mapping):
            raise ArmConfigurationError(f'{place} must be an object such as {{"batch": {{"success_words": ["DONE"]}}}}')
        merged = {name: section for name, section in profile.items() if name != COMMENT}
        if isinstance(merged.get("filters"), Mapping) and isinstance(merged["filters"].get("windows"), Mapping):
            defaults = {name: window.model_dump() for name, window in default_windows().items()}
            merged["filters"] = {**merged["filters"], "windows": defaults | dict(merged["filters"]["windows"])}
        try:
            return cls.model_validate(merged)
        except ValidationError as error:
            issues = "; ".join(_describe_issue(issue.field, issue.message) for issue in field_errors(error))
            raise ArmConfigurationError(f"{place}: {issues}") from None

    @cached_property
    def _json(self) -> str:
        return self.model_dump_json()

    def __hash__(self) -> int:
        return hash(self._json)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Readings) and self._json == other._json

    def changes(self) -> dict[str, Any]:
        """Return the entries that differ from the defaults, by name, such as ``batch.success_words``."""
        defaults = dict(_walk(DEFAULT_READINGS.model_dump(mode="json")))
        return {name: value for name, value in _walk(self.model_dump(mode="json")) if defaults.get(name) != value}


def decode_profile(text: str, name: str, place: str) -> Any:
    """Decode the text of a profile.

    :param name: of the file: JSON if it ends in ``.json``, else YAML.
    :param place: of the profile, for the message.
    :raises ArmConfigurationError: the text is neither.
    """
    import yaml  # type: ignore[import-untyped]

    is_json = name.endswith(".json")
    try:
        return json.loads(text) if is_json else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        raise ArmConfigurationError(f"{place}: the profile is not valid {'JSON' if is_json else 'YAML'}") from None


def _walk(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _walk(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _check_disjoint(groups: Mapping[str, Iterable[Any]], verb: str = "both contain") -> None:
    owners: dict[Any, str] = {}
    for name, values in groups.items():
        for value in values:
            if owners.setdefault(value, name) != name:
                raise ValueError(f"{owners[value]} and {name} {verb} {value}")


def _check_distinct(groups: Iterable[Mapping[str, str | None]]) -> None:
    for names in groups:
        _check_disjoint({entry: [name] for entry, name in names.items() if name is not None}, "are both")


def _entry_names(section: type[ReadingsSection], prefix: str = "") -> Iterable[tuple[str, FieldInfo]]:
    """Yield every entry of a section by its full name."""
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, ReadingsSection):
            yield from _entry_names(annotation, f"{prefix}{name}.")
        else:
            extra = field.json_schema_extra
            if isinstance(extra, dict):
                extra["if_wrong"] = extra["if_wrong"] or section.if_wrong
            yield prefix + name, field


#: Every entry of a profile, by its full name.
ENTRIES: Mapping[str, FieldInfo] = dict(_entry_names(Readings))
DEFAULT_READINGS = Readings()


def _describe_issue(name: str, message: str) -> str:
    if message != "Extra inputs are not permitted":
        return f"{name}: {message}" if name else message
    similar = difflib.get_close_matches(name, ENTRIES, n=1)
    return f"unknown entry {name}" + (f" (did you mean {similar[0]}?)" if similar else "")
