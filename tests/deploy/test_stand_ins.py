"""Names for the Azure SDKs that are not there; real ones always win."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from arriero.deploy import stand_ins

SOURCE = """
import os
try:
    from azure.mgmt.real import RealClient
    from azure.mgmt.lacking import Client, models
    import azure.mgmt.lacking.models as LackingModels
    from msgraph_core import GraphClientFactory
except ImportError:
    HAS_AZURE = False
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A prefix with a real SDK, and a collection that imports it and others."""
    site_packages = tmp_path / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    for module in ("azure/core", "azure/mgmt/real"):
        (site_packages / module).mkdir(parents=True)
        (site_packages / module / "__init__.py").write_text("class RealClient: pass\n")
    (tmp_path / "share/arriero").mkdir(parents=True)
    importer = tmp_path / "c/ansible_collections/azure/azcollection/plugins/module_utils/azure_rm_common.py"
    importer.parent.mkdir(parents=True)
    importer.write_text(SOURCE)
    return tmp_path


def imports(environment: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code with the environment's site-packages alone, `.pth` files read as at every start of Python."""
    site_packages = next(environment.glob("lib/*/site-packages"))
    start = f"import site, sys; site.addsitedir({str(site_packages)!r}); "
    return subprocess.run([sys.executable, "-S", "-E", "-c", start + code], capture_output=True, text=True, check=False)


def test_only_missing_modules_get_a_stand_in(environment: Path) -> None:
    lacking = stand_ins.write(environment / "c", environment)
    assert lacking == ("azure.mgmt.lacking", "azure.mgmt.lacking.models", "msgraph_core")


def test_the_collections_imports_all_succeed(environment: Path) -> None:
    stand_ins.write(environment / "c", environment)
    done = imports(environment, f"HAS_AZURE = True; exec({SOURCE!r}); print(HAS_AZURE)")
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_stand_in_used_in_earnest_says_which_package_is_not_there(environment: Path) -> None:
    stand_ins.write(environment / "c", environment)
    done = imports(environment, "from azure.mgmt.lacking import Client; Client()")
    assert "azure.mgmt.lacking is not installed: this is a stand-in for its name" in done.stderr


def test_a_real_sdk_that_comes_later_wins_at_once(environment: Path) -> None:
    stand_ins.write(environment / "c", environment)
    real = next(environment.glob("lib/*/site-packages")) / "azure/mgmt/lacking"
    real.mkdir()
    (real / "__init__.py").write_text("Client = 'the real one'\n")
    assert imports(environment, "from azure.mgmt.lacking import Client; print(Client)").stdout == "the real one\n"
    assert "azure.mgmt.lacking" not in stand_ins.write(environment / "c", environment)


def test_without_the_azure_extra_nothing_looks_as_if_it_were_there(environment: Path) -> None:
    (next(environment.glob("lib/*/site-packages")) / "azure/core/__init__.py").unlink()
    assert stand_ins.write(environment / "c", environment) == ()


def test_the_collection_that_is_installed_finds_all_its_sdks() -> None:
    code = (
        "import sys; from arriero.deploy import collections; sys.path.insert(0, str(collections.collections_path()));"
        "from ansible_collections.azure.azcollection.plugins.module_utils import azure_rm_common as common;"
        "print(common.HAS_AZURE, common.HAS_AZURE_EXC)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True None\n"
