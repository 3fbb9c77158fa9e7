"""What Airflow discovers of this provider."""

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


def test_the_metadata_fits_the_runtime_schema():
    """Airflow's own runtime schema accepts the provider's metadata."""
    info = get_provider_info()
    jsonschema.validate(info, schema("provider_info.schema.json"))
    assert info["package-name"] == "airflow-provider-arm"


def test_the_connection_type_fits_the_full_schema():
    """The full provider schema, which knows form fields, accepts the connection type as it stands."""
    full = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    if "conn-fields" not in full["items"]["properties"]:
        pytest.skip("this Airflow's schema does not know conn-fields yet")
    jsonschema.validate(get_provider_info()["connection-types"], full)


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")  # the new name is not in Airflow 3.1
def test_airflow_finds_the_provider_and_its_hook():
    """Airflow lists the installed provider by its version and resolves the connection type to the hook."""
    manager = ProvidersManager()
    assert manager.providers["airflow-provider-arm"].version == __version__
    hook = manager.hooks["arm"]
    assert hook.hook_class_name == "airflow_provider_arm.hooks.arm.ArmHook"
    assert hook.connection_id_attribute_name == "arm_conn_id"


def test_every_named_module_has_what_it_is_named_for():
    """Each module in the metadata can be imported and defines a public class of its kind."""
    for kind in ("operators", "sensors", "hooks", "triggers"):
        for group in get_provider_info()[kind]:
            for name in group["python-modules"]:
                module = importlib.import_module(name)
                own = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == name]
                assert own, name


def test_no_form_field_is_masked_by_its_name_unless_it_is_secret():
    """Only the ready access token has a name that Airflow masks."""
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

    assert [name for name in EXTRA_FIELDS if should_hide_value_for_key(name)] == ["access_token"]


def test_the_form_of_older_airflows_has_the_same_fields(monkeypatch):
    """The hook's own form methods, which Airflow 3.1 asks, say what the metadata says."""
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


def test_the_behaviour_of_older_airflows_has_the_same_labels():
    """The hook's field behaviour is the metadata's, with underscores."""
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


def test_the_connection_form_is_served_with_our_fields():
    """The service behind Airflow's connection page gives our labels and extra fields; in a process of its own."""
    result = subprocess.run([sys.executable, "-c", FORM], capture_output=True, text=True, check=True)
    form = json.loads(result.stdout.splitlines()[-1])
    assert form["standard_fields"]["host"]["title"] == "Base URL"
    assert set(form["extra_fields"]) == set(EXTRA_FIELDS)
