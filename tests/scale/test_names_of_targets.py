"""The name by which a site's edges find targets follows those that run, where somebody has to see to that."""

from __future__ import annotations

from typing import Any

import pytest
from scaled_world import Rights

from arriero.clouds.scaling import Require, Standing, naming_of
from arriero.errors import CloudError, Problem
from arriero.scale.naming import name_targets
from arriero.scale.telling import SiteView
from arriero.spec.model import Spec

SITE = Spec.model_validate(
    {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "sites": {"eu": {"cloud": "azure", "region": "westeurope"}},
    }
).site("eu")


class Names:
    """What was written; `trouble` meets who writes."""

    def __init__(self, trouble: CloudError | None = None) -> None:
        self.written, self.trouble = 0, trouble

    def set_right(self, require: Require) -> None:
        require()
        if self.trouble:
            raise self.trouble
        self.written += 1


def told(names: Names, rights: Rights, standing: Standing | None, **more: Any) -> list[str]:
    said: list[str] = []
    view = SiteView(SITE, 1.0, standing, ())
    namings = more.get("namings", {"eu": names.set_right})
    name_targets(view, namings, rights, lambda kind, site, text: said.append(f"{kind} {site}: {text}"))
    return said


@pytest.mark.parametrize(
    ("standing", "namings"),
    [
        (None, None),  # nobody could tell
        (Standing("eu", 2), None),
        (Standing("eu", 2, is_misnamed=True), {}),  # nobody has to
    ],
)
def test_what_needs_no_names_costs_no_turn(standing: Standing | None, namings: Any) -> None:
    names, rights = Names(), Rights()
    assert told(names, rights, standing, **({} if namings is None else {"namings": namings})) == []
    assert (names.written, rights.turns) == (0, 0)


def test_a_wrong_name_is_set_right_in_a_turn_of_the_lease() -> None:
    names, rights = Names(), Rights()
    said = told(names, rights, Standing("eu", 2, is_misnamed=True))
    assert said == ["scale.named eu: the name of its targets leads to those that run now"]
    assert (names.written, rights.turns) == (1, 1)


def test_while_somebody_deploys_it_waits() -> None:
    names, rights = Names(), Rights()
    with rights.one:
        said = told(names, rights, Standing("eu", 2, is_misnamed=True))
    assert said == ["scale.waits eu: somebody deploys"]
    assert names.written == 0


def test_a_cloud_that_refuses_is_told_and_asked_again_with_the_next_look() -> None:
    names = Names(CloudError("eu", Problem("is away")))
    [line] = told(names, Rights(), Standing("eu", 2, is_misnamed=True))
    assert line.startswith("scale.failed eu: ")
    names.trouble = None
    assert told(names, Rights(), Standing("eu", 2, is_misnamed=True))[0].startswith("scale.named")


def test_ecs_names_its_tasks_itself() -> None:
    assert naming_of("aws") is None
    assert naming_of("local") is None
    assert naming_of("azure") is not None
