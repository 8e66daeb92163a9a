"""What a check says of each case of `cases/policy`, in exact words; and what holds for all rules."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_case import TODAY, as_wished, parts, said

from arriero.errors import ArrieroError
from arriero.policy import evidence
from arriero.policy.builtin.secrets import is_secret
from arriero.policy.check import all_rules, check
from arriero.policy.findings import BUILTIN
from arriero.policy.rule import SEVERITIES, Rule
from arriero.spec.load import load
from arriero.spec.model import Spec

CASES = sorted((Path(__file__).parents[1] / "cases" / "policy").glob("*.case"))
SPEC = Spec.model_validate(
    {"name": "llm", "image": "a", "models": ["llama2"], "sites": {"a": {"cloud": "aws", "region": "us-east-1"}}}
)
OURS = """\
from arriero.policy.rule import Hit, rule

@rule("our-regions", "error", reason="our contract is for Europe", remedy="choose a region of Europe")
def our_regions(subject):
    for name, site in subject.spec.sites.items():
        if not site.region.startswith("eu-"):
            yield Hit(f"sites.{name}.region", f"{site.region} is not in Europe")
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_each_case_is_told_in_exact_words(case: Path, folder: Path) -> None:
    assert said(case.read_text(), folder) == parts(case.read_text())["says"].splitlines()


def test_there_are_at_least_fifty_cases_and_every_rule_is_in_one() -> None:
    assert len(CASES) >= 50
    told = "".join(case.read_text() for case in CASES)
    assert [each.id for each in BUILTIN if f"[{each.id}" not in told] == []


@pytest.mark.parametrize("each", BUILTIN, ids=lambda each: each.id)
def test_a_rule_says_why_and_what_to_do(each: Rule) -> None:
    assert each.severity in SEVERITIES
    assert len(each.reason) > 20
    assert len(each.remedy) > 20


def test_no_finding_ever_shows_a_secret(folder: Path) -> None:
    text = next(case for case in CASES if case.stem == "a-secret-by-its-value").read_text()
    assert "AKIA0123456789ABCDEF" in text
    assert not [line for line in said(text, folder) if "AKIA0123456789ABCDEF" in line]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("A", "ghp_" + "a" * 36, True),
        ("A", "-----BEGIN RSA PRIVATE KEY-----", True),
        ("SECRET", "x", True),
        ("api_key", "x", True),
        ("OLLAMA_NUM_PARALLEL", "4", False),
        ("SECRETARY", "Ann", False),
        ("URL", "https://example.com/a:b@c", False),
    ],
)
def test_what_looks_like_a_secret(name: str, value: str, expected: bool) -> None:
    assert is_secret(name, value) is expected


def test_a_rule_of_the_users_own_is_held_too(folder: Path) -> None:
    (folder / "ours.py").write_text(OURS)
    spec = SPEC.model_copy(update={"policy": SPEC.policy.model_copy(update={"rules": ("ours.py",)})})
    verdict = check(spec, folder, TODAY)
    assert not verdict.is_good
    [found] = [finding for finding in verdict.findings if finding.rule.id == "our-regions"]
    assert (found.key, found.what, found.fails) == ("sites.a.region", "us-east-1 is not in Europe", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "policy.rules[0]: there is no file ours.py; correct the path"),
        ("", "policy.rules[0]: ours.py can't be used: ValueError: it holds no function with @rule; mend the file"),
        ("1 / 0", "policy.rules[0]: ours.py can't be used: ZeroDivisionError: division by zero; mend the file"),
        (
            OURS.replace("our-regions", "open-range"),
            "policy.rules: there are two rules open-range; give yours another id",
        ),
        (
            OURS.replace('"error"', '"grave"'),
            "policy.rules[0]: ours.py can't be used: ValueError: 'grave' is no severity; choose from error, warning, "
            "note; mend the file",
        ),
    ],
)
def test_rules_that_can_not_be_used_are_told(text: str | None, expected: str, folder: Path) -> None:
    if text is not None:
        (folder / "ours.py").write_text(text)
    spec = SPEC.model_copy(update={"policy": SPEC.policy.model_copy(update={"rules": ("ours.py",)})})
    with pytest.raises(ArrieroError) as caught:
        all_rules(spec, folder)
    assert str(caught.value) == expected


def test_a_rule_that_breaks_is_named(folder: Path) -> None:
    (folder / "ours.py").write_text(OURS.replace("site.region.starts", "site.regoin.starts"))
    spec = SPEC.model_copy(update={"policy": SPEC.policy.model_copy(update={"rules": ("ours.py",)})})
    with pytest.raises(
        ArrieroError, match=r"policy\.rules: the rule our-regions broke: AttributeError: .*; mend the rule"
    ):
        check(spec, folder, TODAY)


def test_a_check_asks_no_clock_so_that_it_is_the_same_tomorrow(folder: Path) -> None:
    text = parts(next(case for case in CASES if case.stem == "the-port-opened-to-everybody").read_text())
    (folder / "arriero.yaml").write_text(text["spec"])
    (folder / "trivy.json").write_text(text["scan"])
    spec = load(Path("arriero.yaml"), None, {}).spec
    facts = as_wished(spec, text["facts"])
    assert check(spec, folder, TODAY, facts) == check(spec, folder, TODAY, facts)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "ArtifactName",
                        "CreatedAt",
                        "Metadata",
                        "RepoDigests",
                        "ImageConfig",
                        "config",
                        "User",
                        "Results",
                        "Vulnerabilities",
                        "Severity",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=20,
    )
)
def test_no_report_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, report: object) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "trivy.json").write_text(json.dumps(report))
    with contextlib.suppress(ArrieroError):
        evidence.read("trivy.json", folder)


def test_a_report_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(ArrieroError, match=r"policy\.scan: trivy\.json can't be read: No such file or directory"):
        evidence.read("trivy.json", folder)
