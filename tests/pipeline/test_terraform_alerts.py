"""Azure's alerts in the exported module: the key that nothing keeps, what is watched, what is imported and what is not.

That every resource and property is there says `test_terraform.py`, for these as for all.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from azure.mgmt.monitor.v2023_01_01.models import ActionGroupResource
from terraform_specs import SPECS, nothing, spec
from terraform_standing import azure_as_wished
from test_terraform import written

from arriero.clouds.azure.variables import site_variables
from arriero.control.alerts import KEY_LENGTH_LEAST
from arriero.pipeline.terraform import azure_alerts, module
from arriero.plan import place

PLAIN, SECRET = "Azure's alerts scale", "Azure's alerts scale groups with a secret, of which one is watched"
WISH = spec(SPECS[PLAIN])
VARIABLE = "azure_east_alerts_key"


def files(name: str = PLAIN) -> Mapping[str, str]:
    return module.files(spec(SPECS[name]), nothing(spec(SPECS[name])))


def block(text: str, head: str) -> str:
    found = re.search(rf"^{re.escape(head)} \{{\n.*?^\}}\n", text, re.M | re.S)
    assert found, f"no block {head}"
    return found[0]


def test_the_key_is_asked_for_and_goes_only_where_nothing_is_kept() -> None:
    text = files()["azure.tf"]
    asked = block(text, f'variable "{VARIABLE}"')
    assert "sensitive   = true\n  ephemeral   = true\n" in asked
    assert "default" not in asked
    action = block(text, 'resource "azapi_resource" "azure_east_alerts"')
    kept, _, sent = action.partition("\n  sensitive_body = {\n")
    assert "webhook" not in kept
    assert (
        f'serviceUri           = "https://ops.example.com/alerts?key=${{urlencode(trimspace(var.{VARIABLE}))}}"' in sent
    )
    assert text.replace(asked, "").count(VARIABLE) == 1
    assert "azurerm_monitor_action_group" not in text
    assert 'required_version = ">= 1.11.0"' in files()["versions.tf"]


@pytest.mark.parametrize(("name", "groups"), [(PLAIN, "azurerm_container_group"), (SECRET, "azapi_resource")])
def test_a_rule_watches_a_group_of_the_module(name: str, groups: str) -> None:
    """By reference, so that it comes after the group and the action group, and goes before them."""
    text = files(name)["azure.tf"]
    rules = block(text, 'resource "azurerm_monitor_metric_alert" "azure_east"')
    assert f"scopes              = [{groups}.azure_east[each.value.target].id]" in rules
    assert "action_group_id = azapi_resource.azure_east_alerts.id" in rules
    [made] = re.findall(r"for_each +?= toset\((\[.*?\])\)", block(text, f'resource "{groups}" "azure_east"'))
    assert set(re.findall(r'target += ("[\w-]+")', rules)) <= set(re.findall(r'"[\w-]+"', made))


def test_what_stands_is_imported_but_for_what_would_bring_the_key(tmp_path: Path) -> None:
    read = written(WISH, azure_as_wished(WISH, "azure-east"), tmp_path)
    left = {each for each in read.resources if not each.startswith("variable.")} - set(read.imports)
    assert left == {"azapi_resource.azure_east_alerts"}
    rule = "llm-azure-east-r1-1-cpu-high"
    assert read.imports[f'azurerm_monitor_metric_alert.azure_east["{rule}"]'] == (
        f"/subscriptions/1/resourceGroups/llm-azure-east/providers/Microsoft.Insights/metricAlerts/{rule}"
    )
    guide = (tmp_path / "README.md").read_text()
    assert "az monitor action-group delete --resource-group llm-azure-east --name llm-azure-east\n" in guide
    assert f"# {azure_alerts.STANDING_NOTE}\n" in (tmp_path / "azure.tf").read_text()


def test_where_none_stands_nobody_is_told_to_remove_one() -> None:
    guide = files()["README.md"]
    assert f"export TF_VAR_{VARIABLE}=\"$(cat 'secrets/the key')\"\n" in guide
    assert "action-group delete" not in guide
    assert azure_alerts.STANDING_NOTE not in files()["azure.tf"]
    assert "TF_VAR_" not in files("as it comes")["README.md"]


def test_azures_own_kit_knows_every_word_of_the_action_group(tmp_path: Path) -> None:
    """Its models are made from the description of that version of the API."""
    read = written(WISH, nothing(WISH), tmp_path)
    values = read.resources["azapi_resource.azure_east_alerts"]
    assert values["type"] == "Microsoft.Insights/actionGroups@2023-01-01"
    properties = {**values["body"]["properties"], **values["sensitive_body"]["properties"]}
    whole: dict[str, Any] = {"location": values["location"], "tags": values["tags"], "properties": properties}
    assert ActionGroupResource.deserialize(whole).serialize() == whole


def test_a_rule_says_what_the_role_says(tmp_path: Path) -> None:
    plan, found = place.plan(WISH, nothing(WISH, "1")).sites[0], nothing(WISH, "1").sites["azure-east"]
    by_role = cast("list[dict[str, Any]]", site_variables(WISH.site("azure-east"), plan, found)["azure_site_alerts"])
    rules = written(WISH, nothing(WISH), tmp_path).of("azurerm_monitor_metric_alert")
    assert {each["name"]: said(each) for _, each in rules} == {
        each["name"]: {
            **{key: value for key, value in each["criterion"].items() if key not in ("criterion_type", "name")},
            "scope": each["scope"].rpartition("/")[2],
            "window": each["window"],
            "frequency": each["frequency"],
        }
        for each in by_role
    }


def said(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of the module in the role's words."""
    goal = dict(rule["criteria"])
    [scope] = rule["scopes"]
    return {
        **{key: goal[key] for key in ("metric_namespace", "metric_name", "operator", "threshold")},
        "time_aggregation": goal["aggregation"],
        "dimensions": [goal["dimension"]],
        "scope": scope,
        "window": rule["window_size"],
        "frequency": rule["frequency"],
    }


def test_the_least_length_of_a_key_is_the_controllers() -> None:
    assert azure_alerts.LEAST_KEY == KEY_LENGTH_LEAST


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("a key of 24 characters, ", "No changes."),
        ("too short" + 20 * " ", "no key of fewer than 20"),
        (None, "No value for required variable"),
    ],
)
def test_terraform_itself_asks_for_the_key(key: str | None, said: str, tmp_path: Path) -> None:
    (tmp_path / "key.tf").write_text(block(files()["azure.tf"], f'variable "{VARIABLE}"'))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"}
    given = {f"TF_VAR_{VARIABLE}": key} if key is not None else {}
    done = subprocess.run(
        ["terraform", f"-chdir={tmp_path}", "plan", "-input=false", "-no-color"],
        env={**environment, **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said in re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert key is None or key.strip() not in done.stdout + done.stderr
