"""Amounts with units are read exactly and written as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.spec.units import Bytes, Duration, TimeOfDay, VCpu


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        (Bytes, "16GiB", 16 * 2**30),
        (Bytes, "16 GB", 16 * 10**9),
        (Bytes, "1.5MiB", 3 * 2**19),
        (Bytes, "512B", 512),
        (VCpu, "4 vCPU", 4.0),
        (VCpu, "0.25vCPU", 0.25),
        (Duration, "90s", 90.0),
        (Duration, "15m", 900.0),
        (Duration, "1.5h", 5400.0),
        (Duration, "500ms", 0.5),
        (Duration, "2d", 172800.0),
    ],
)
def test_an_amount_is_read_with_its_unit(unit: type[Bytes | VCpu | Duration], text: str, value: float) -> None:
    assert unit.parse(text) == value


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (Bytes, "16"),
        (Bytes, "16gb"),
        (Bytes, "-1GiB"),
        (Bytes, 16),
        (Bytes, "9" * 5000 + "B"),
        (VCpu, "4"),
        (VCpu, True),
        (Duration, "5 minutes"),
        (Duration, None),
        (TimeOfDay, "24:00 UTC"),
        (TimeOfDay, "22:00"),
        (TimeOfDay, "22:00 Europe/Berln"),
        (TimeOfDay, "22:00 ../passwd"),
    ],
)
def test_anything_else_is_refused_with_an_example(unit: type[Bytes], text: object) -> None:
    with pytest.raises(ValueError, match=r"; write (it|one) like"):
        unit.parse(text)


@given(st.integers(1, 10**15 - 1))
def test_an_amount_of_bytes_is_the_same_when_read_again(amount: int) -> None:
    assert Bytes.parse(str(Bytes(amount))) == amount


@given(st.integers(1, 10**9))
def test_a_length_of_time_is_the_same_when_read_again(milliseconds: int) -> None:
    assert Duration.parse(str(Duration.parse(f"{milliseconds}ms"))) == Duration.parse(f"{milliseconds}ms")


def test_a_time_of_day_is_on_the_clock_of_its_place() -> None:
    moment = TimeOfDay.parse("22:00 Europe/Berlin")
    assert (str(moment), str(moment.time.tzinfo)) == ("22:00 Europe/Berlin", "Europe/Berlin")


def test_half_a_processor_is_written_so() -> None:
    assert [str(VCpu(cpu)) for cpu in (0.25, 0.5, 1, 16)] == ["0.25 vCPU", "0.5 vCPU", "1 vCPU", "16 vCPU"]
