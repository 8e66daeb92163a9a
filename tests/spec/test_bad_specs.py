"""Each bad spec of `cases/spec/bad` is refused with exactly the lines that stand below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from arriero.errors import SpecError
from arriero.spec.load import find, load

CASES = sorted((Path(__file__).parents[1] / "cases" / "spec" / "bad").glob("*.case"))
GOOD = "name: llm\nimage: acme/ollama\nmodels: [llama2]\nsites:\n  aws-east: {cloud: aws, region: us-east-1}\n"


def test_there_are_at_least_sixty_bad_specs() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_bad_spec_is_refused_in_exact_words(case: Path, folder: Path) -> None:
    text, _, expected = case.read_text().partition("=====\n")
    (folder / "arriero.yaml").write_text(text)
    assert _refusal(folder) == expected.rstrip("\n")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GOOD.encode() + b"# caf\xe9\n", "arriero.yaml:6: is not UTF-8: the byte 0xe9; save the file as UTF-8"),
        (b"\xff\xfen\x00a\x00", "arriero.yaml:1: is not UTF-8: the byte 0xff; save the file as UTF-8"),
        (b"name: l\x00m\n", "arriero.yaml:1: holds the character U+0000, which no text has; remove it"),
        (b"sites: " + b"[" * 1_000_000, "arriero.yaml: is larger than 64 KiB; a spec is one short file"),
        (b"a: {" * 16_000, "is nested deeper than 16 levels"),
        (b'environment: {A: "\\ud800"}', "holds the character U+D800"),
    ],
)
def test_bytes_that_are_no_spec_are_refused(data: bytes, expected: str, folder: Path) -> None:
    (folder / "arriero.yaml").write_bytes(data)
    assert expected in _refusal(folder)


def test_a_byte_order_mark_is_no_mistake(folder: Path) -> None:
    (folder / "arriero.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(Path("arriero.yaml"), None, {}).spec.name == "llm"


def test_a_folder_or_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "arriero.yaml").mkdir()
    assert _refusal(folder) == "arriero.yaml: is a folder; name the file in it: arriero.yaml"
    (folder / "arriero.yaml").rmdir()
    assert _refusal(folder) == "arriero.yaml: there is no such file; make one with: arriero init"


def test_a_file_that_goes_round_in_links_is_refused(folder: Path) -> None:
    (folder / "arriero.yaml").symlink_to("arriero.yaml")
    assert _refusal(folder) == ("arriero.yaml: can't be read: Too many levels of symbolic links; check its permissions")


def test_an_overlay_that_is_not_there_is_refused_with_those_that_are(folder: Path) -> None:
    (folder / "arriero.yaml").write_text(GOOD)
    assert _refusal(folder, "staging") == ("arriero.yaml: there is no overlay 'staging'; write arriero.NAME.yaml")
    (folder / "arriero.staging.yaml").write_text("scale: {max: 8}\n")
    assert _refusal(folder, "stagin") == "arriero.yaml: there is no overlay 'stagin'; did you mean staging?"
    assert "there is no overlay '../other'" in _refusal(folder, "../other")


def test_problems_of_the_overlay_come_after_those_of_the_file(folder: Path) -> None:
    (folder / "arriero.yaml").write_text(GOOD + "kolor: red\n")
    (folder / "arriero.staging.yaml").write_text("gateway: null\nscale:\n  max: many\n")
    assert _refusal(folder, "staging").splitlines() == [
        "arriero.yaml:6: kolor: unknown key; choose from name, image, models, sidecar, sites, size, scale, ollama, "
        "environment, network, gateway, ingress, off, spot, storage, logs, metrics, deploy, validation, pipeline, "
        "policy, budget, failover, ledger, accounts, credentials, rehearse, secrets",
        "arriero.staging.yaml:1: gateway: the overlay takes away a key that isn't there; remove the line",
        "arriero.staging.yaml:3: scale.max: must be a whole number, not text; write it without quotes or unit, like 4",
    ]


def test_a_spec_is_looked_for_here_and_above(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no arriero\.yaml here or above"):
        find(None, folder)
    (folder / "arriero.yaml").write_text(GOOD)
    (folder / "deep" / "down").mkdir(parents=True)
    assert find(None, folder / "deep" / "down") == folder / "arriero.yaml"
    assert find(Path("other.yaml"), folder) == Path("other.yaml")


def test_a_refusal_never_shows_a_secret(folder: Path) -> None:
    text = GOOD + "secrets:\n  hf_token: hf_verysecret\n  Bad Name: ${HF_TOKEN}\n"
    (folder / "arriero.yaml").write_text(text)
    with pytest.raises(SpecError) as refused:
        load(Path("arriero.yaml"), None, {"HF_TOKEN": "hf_fromoutside"})
    assert "verysecret" not in str(refused.value)
    assert "fromoutside" not in str(refused.value)


def _refusal(folder: Path, overlay: str | None = None) -> str:
    with pytest.raises(SpecError) as refused:
        load(Path("arriero.yaml"), overlay, {"SET": "x"})
    return str(refused.value)
