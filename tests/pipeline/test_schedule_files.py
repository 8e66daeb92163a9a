"""The playbook and the crontab of off hours: no times in them, so they stay right whatever the clock does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from arriero.errors import Refused
from arriero.pipeline import schedule
from arriero.spec.model import Spec

SITE = {"cloud": "aws", "region": "us-east-1"}


def spec(**more: Any) -> Spec:
    sites = {"dev": {**SITE, **more}, "prod": SITE}
    return Spec.model_validate({"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": sites})


def test_the_playbook_is_the_sites_own_and_says_whose_hours_they_are() -> None:
    files = schedule.files(spec(off="weekends UTC"), Path())
    [play] = YAML(typ="safe").load(files["schedule.yml"])
    assert play["ansible.builtin.import_playbook"] == "arriero.fleet.site"
    assert all("#   dev: weekends UTC\n" in text and "prod" not in text for text in files.values())
    lines = [line for line in files["schedule.cron"].splitlines() if not line.startswith("#")]
    assert lines == ["FOLDER=/srv/arriero", '*/5 * * * * cd "$FOLDER" && arriero schedule run --yes']


def test_without_off_hours_there_is_nothing_to_write() -> None:
    with pytest.raises(Refused, match="no site has off hours; write some, like off: 22:00-06:00 Europe/Berlin"):
        schedule.files(spec(), Path())
