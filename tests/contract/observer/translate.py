"""Translation from a readings profile to the names and words of the default one, for requests and responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULTS = DEFAULT_READINGS


def request_names(readings: Readings) -> dict[str, str]:
    """Return the query parameters of a profile by their default names."""
    defaults = _DEFAULTS.lists.parameters.model_dump()
    names = {defaults[entry]: name for entry, name in readings.lists.parameters.model_dump().items()}
    for by, window in _DEFAULTS.filters.windows.items():
        own = readings.filters.windows[by]
        names |= {window.first: own.first, window.last: own.last}
    return names


def to_defaults(body: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    """Return an object in a response with the names and words of the default profile."""
    if readings == _DEFAULTS:
        return dict(body)
    if readings.lists.summary_key in body:
        return _list(body, readings)
    batch = readings.batch
    if batch.uuid_key in body:
        return _batch(body, readings)
    return _write(body, readings)


def _list(body: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    defaults = _DEFAULTS.lists.record_keys.model_dump()
    names = {own: defaults[operation] for operation, own in readings.lists.record_keys.model_dump().items()}
    fields = {getattr(readings.gl_items, name): default for name, default in _DEFAULTS.gl_items.model_dump().items()}
    names[readings.lists.summary_key] = _DEFAULTS.lists.summary_key
    renamed = _rename(body, names)
    rows = renamed.get(_DEFAULTS.lists.record_keys.list_gl_items)
    if isinstance(rows, list):
        renamed[_DEFAULTS.lists.record_keys.list_gl_items] = [
            _rename(row, fields) if isinstance(row, dict) else row for row in rows
        ]
    return renamed


def _batch(body: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    batch = readings.batch
    keys = ("uuid_key", "status_key", "total_key", "processed_key", "failed_key", "errors_key")
    renamed = _rename(body, {getattr(batch, key): getattr(_DEFAULTS.batch, key) for key in keys})
    words = dict.fromkeys(batch.success_words, "PROCESSED") | dict.fromkeys(batch.partial_words, "PARTIAL")
    renamed = _replace_word(renamed, "status", words | dict.fromkeys(batch.failure_words, "REJECTED"))
    return {name: _records(value, readings) for name, value in renamed.items()}


def _records(value: Any, readings: Readings) -> Any:
    if not isinstance(value, list):
        return value
    names = {readings.batch.record_number_key: _DEFAULTS.batch.record_number_key}
    return [_write(_rename(each, names), readings) if isinstance(each, dict) else each for each in value]


def _write(body: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    write = readings.write
    renamed = _rename(body, {write.status_key: _DEFAULTS.write.status_key})
    words = dict.fromkeys(write.success_words, "PROCESSED") | dict.fromkeys(write.failure_words, "FAILED")
    return _replace_word(renamed, _DEFAULTS.write.status_key, words)


def _replace_word(body: dict[str, Any], key: str, words: Mapping[str, str]) -> dict[str, Any]:
    word = body.get(key)
    return {**body, key: words.get(word.upper(), word)} if isinstance(word, str) else body


def _rename(body: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in body.items()}
