from __future__ import annotations

import pytest

from arriero.rehearse.latency import RECORDED, Latency


def test_latency_is_the_recorded_time_scaled_and_none_by_default() -> None:
    assert Latency().seconds("aci.group_create") == 0
    assert Latency(0.01).seconds("fargate.task_start") == pytest.approx(0.7)


def test_every_figure_names_its_source() -> None:
    assert all("#" in one.source or one.source.startswith("derived: ") for one in RECORDED.values())
