"""Jenkinsfiles that Jenkins would refuse, or that would do harm, each made from ours by one change, are refused before
anything runs.
"""

from __future__ import annotations

from pathlib import Path

import jenkins
import pytest
from projects import exported
from ruamel.yaml import YAML

pytestmark = pytest.mark.wide

MUTATIONS: dict[str, dict[str, str]] = YAML(typ="safe").load(
    (Path(__file__).parents[2] / "cases" / "jenkins" / "mutations.yaml").read_text()
)


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    jenkins.needs_groovy()
    folder = tmp_path_factory.mktemp("mutations")
    good = (exported(folder / "good") / "Jenkinsfile").read_text()
    files = [folder / "good.jenkinsfile"]
    files[0].write_text(good)
    for name, mutation in MUTATIONS.items():
        assert mutation["change"] in good, name
        files.append(folder / f"{name}.jenkinsfile")
        files[-1].write_text(good.replace(mutation["change"], mutation["to"], 1))
    return {Path(name).stem: found for name, found in jenkins.check(*files).items()}


def test_there_are_at_least_twenty() -> None:
    assert len(MUTATIONS) >= 20


def test_ours_has_no_fault(faults: dict[str, list[str]]) -> None:
    assert faults["good"] == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_refused(name: str, faults: dict[str, list[str]]) -> None:
    assert any(MUTATIONS[name]["fault"] in fault for fault in faults[name]), faults[name]
