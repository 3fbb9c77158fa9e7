"""``hooks.profile``: the readings profile of a connection, from its extra or from a file."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_arm.client import ArmConfigurationError
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.hooks.profile import MAX_FILE_SIZE, load_profile

PROFILE = {"batch": {"success_words": ["COMPLETED"]}}
EXPECTED = Readings.parse(PROFILE)


def connection(monkeypatch, **extra):
    """Set the connection ``arm_default`` with this extra."""
    conn = {"conn_type": "arm", "host": "https://arm.test/v1", "login": "a", "password": "b"}
    extra = {"client_no": 2218, "auth_url": "https://arm.test/token"} | extra
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(conn | {"extra": extra}))


@pytest.mark.parametrize("value", [PROFILE, json.dumps(PROFILE), f"\n {json.dumps(PROFILE)} "])
def test_profile_in_the_extra_is_read_by_both_clients(monkeypatch, value):
    """As an object, or as text as the connection form stores it."""
    connection(monkeypatch, readings=value)
    assert ArmHook().client.readings == EXPECTED
    assert asyncio.run(ArmHook().get_async_client()).readings == EXPECTED


@pytest.mark.parametrize("value", [None, ""])
def test_connection_without_a_profile_has_the_defaults(monkeypatch, value):
    """An empty field of the connection form counts as absent."""
    connection(monkeypatch, readings=value)
    assert ArmHook().settings.readings == DEFAULT_READINGS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps(PROFILE)),
        ("a.yaml", "batch:\n  success_words: [completed]  # as ARM wrote it\n"),
        ("a.yml", "\ufeffbatch: {success_words: [COMPLETED]}"),
    ],
)
def test_profile_in_a_file_is_read(monkeypatch, tmp_path, name, text):
    """JSON or YAML, by the ending; the address may have a scheme."""
    (tmp_path / name).write_text(text)
    for address in (str(tmp_path / name), f"file://{tmp_path / name}"):
        connection(monkeypatch, readings=address)
        assert ArmHook().settings.readings == EXPECTED


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("profile.json", "must be absolute"),
        ("/nowhere/profile.txt", "a file ending in .json or .yaml"),
        ("/nowhere/profile.json", "/nowhere/profile.json cannot be read (No such file or directory)"),
        ("{", "not valid JSON"),
        ({"batch": {"succes_words": []}}, "did you mean batch.success_words?"),
        ([1], "must be an object"),
        (7, "must be an object"),
    ],
)
def test_invalid_profile_is_refused_with_the_connection(monkeypatch, value, message):
    """Before anything is sent, in one message that names the connection and the entry or the file."""
    connection(monkeypatch, readings=value)
    with pytest.raises(ArmConfigurationError) as caught:
        ArmHook().client.check()
    assert "readings of connection 'arm_default'" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"batch: [", "not valid YAML"),
        (b"- 1", "must be an object"),
        (b"\xff\xfe", "cannot be read (UnicodeDecodeError)"),
        (b" " * (MAX_FILE_SIZE + 1), "cannot be read (more than 256 KB)"),
        (b"batch: {status_key: ''}", "batch.status_key"),
    ],
)
def test_invalid_file_is_refused_with_its_address(tmp_path, content, message):
    """The message has the address, and no content of the file."""
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(ArmConfigurationError) as caught:
        load_profile(str(path), "connection 'x'")
    assert message in str(caught.value)


def test_profiles_of_two_connections_have_two_shared_clients(monkeypatch, tmp_path):
    """Settings with another profile are other settings."""
    connection(monkeypatch)
    first = ArmHook().settings
    connection(monkeypatch, readings=PROFILE)
    second = ArmHook().settings
    assert first != second
    assert hash(second) == hash(ArmHook().settings)
