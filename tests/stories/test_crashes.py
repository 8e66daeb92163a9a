"""A sample of the crash points of a four-site deployment, by a seed that is printed; `make proof` plays them all."""

from __future__ import annotations

import os
import random
from pathlib import Path

import crashes
import pytest
from crashes import Point

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.timeout(900), pytest.mark.long]


def test_a_deployer_killed_at_a_writing_call_loses_nobodys_request_and_the_next_ends_its_work(tmp_path: Path) -> None:
    seed = int(os.environ.get("ARRIERO_SEED") or random.randrange(1000))
    print(f"ARRIERO_SEED={seed}")
    with crashes.fleet(tmp_path) as fleet:
        calls, _ = fleet.count()
        assert calls >= 75, "150 points at least"
        number = crashes.sample(2 * calls, 1, seed)[0]
        chain = next(crashes.chains([(number + place) % (2 * calls) for place in range(crashes.LONGEST)]))
        played = fleet.play([Point.numbered(number) for number in chain])
    print(*played, sep="\n")
    assert [each.problems for each in played] == [()] * len(chain)
    assert fleet.asking.asked > 20
    assert fleet.asking.lost == []
