"""Metadata of the provider, and what Airflow reads from it."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import airflow
import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager

from airflow_provider_arm import __version__
from airflow_provider_arm.get_provider_info import EXTRA_FIELDS, FIELD_BEHAVIOUR, get_provider_info
from airflow_provider_arm.hooks.arm import ArmHook


def schema(name):
    """Read one of Airflow's schema files."""
    return json.loads((Path(airflow.__path__[0]) / name).read_text(encoding="utf-8"))


def test_metadata_matches_the_runtime_schema():
    """The schema with which Airflow validates providers."""
    info = get_provider_info()
    jsonschema.validate(info, schema("provider_info.schema.json"))
    assert info["package-name"] == "airflow-provider-arm"


def test_connection_type_matches_the_full_schema():
    """Only the full provider schema contains the form fields."""
    full = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    if "conn-fields" not in full["items"]["properties"]:
        pytest.skip("this Airflow's schema does not know conn-fields yet")
    jsonschema.validate(get_provider_info()["connection-types"], full)


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")  # the new name is not in Airflow 3.1
def test_airflow_discovers_the_provider_and_its_hook():
    """With its version and its connection type."""
    manager = ProvidersManager()
    assert manager.providers["airflow-provider-arm"].version == __version__
    hook = manager.hooks["arm"]
    assert hook.hook_class_name == "airflow_provider_arm.hooks.arm.ArmHook"
    assert hook.connection_id_attribute_name == "arm_conn_id"


def test_every_module_in_the_metadata_has_a_class():
    """Each module can be imported."""
    for kind in ("operators", "sensors", "hooks", "triggers"):
        for group in get_provider_info()[kind]:
            for name in group["python-modules"]:
                module = importlib.import_module(name)
                own = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == name]
                assert own, name


def test_only_secret_form_fields_have_names_that_airflow_masks():
    """The access token."""
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

    assert [name for name in EXTRA_FIELDS if should_hide_value_for_key(name)] == ["access_token"]


def test_form_of_airflow_3_1_has_the_same_fields(monkeypatch):
    """The hook's form methods, which Airflow 3.1 calls, have the labels and descriptions of the metadata."""
    forms = SimpleNamespace(
        **{
            kind: lambda label, description, kind=kind: (kind, label, description)
            for kind in ("IntegerField", "PasswordField", "StringField")
        }
    )
    monkeypatch.setitem(sys.modules, "wtforms", forms)
    widgets = ArmHook.get_connection_form_widgets()
    assert {name: widget[1:] for name, widget in widgets.items()} == {
        name: (field["label"], field["description"]) for name, field in EXTRA_FIELDS.items()
    }
    assert widgets["access_token"][0] == "PasswordField"


def test_form_behaviour_of_airflow_3_1_is_the_same():
    """The hook's field behaviour has the values of the metadata."""
    assert ArmHook.get_ui_field_behaviour() == {
        "hidden_fields": FIELD_BEHAVIOUR["hidden-fields"],
        "relabeling": FIELD_BEHAVIOUR["relabeling"],
        "placeholders": FIELD_BEHAVIOUR["placeholders"],
    }


FORM = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
form = next(meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "arm")
print("\\n" + form.model_dump_json())
"""


def test_connection_form_of_the_ui_has_all_fields():
    """In a process of its own, because the service caches Airflow's providers."""
    result = subprocess.run([sys.executable, "-c", FORM], capture_output=True, text=True, check=True)
    form = json.loads(result.stdout.splitlines()[-1])
    assert form["standard_fields"]["host"]["title"] == "Base URL"
    assert set(form["extra_fields"]) == set(EXTRA_FIELDS)
