"""What an answer must be: pattern, schema, likeness, or just something."""

from __future__ import annotations

import pytest

from arriero.observe.validation import golden
from arriero.observe.validation.golden import cosine, judge, prompts_of
from arriero.spec.model import Spec
from arriero.spec.validation import Prompt

ORDER = {"type": "object", "required": ["pounds"], "properties": {"pounds": {"type": "number"}}}


@pytest.mark.parametrize(
    ("prompt", "text", "likeness", "is_right", "said"),
    [
        ({}, "Hello.", None, True, "'Hello.'"),
        ({}, " \n", None, False, "the answer is empty"),
        ({"matches": "(?i)paris"}, "It is PARIS.", None, True, "'It is PARIS.'"),
        ({"matches": "(?i)paris"}, "It is Rome.", None, False, "'It is Rome.' does not match (?i)paris"),
        ({"schema": ORDER}, '{"pounds": 2}', None, True, "'{\"pounds\": 2}'"),
        ({"schema": ORDER}, '{"pounds": "two"}', None, False, "$.pounds: 'two' is not of type 'number'"),
        ({"schema": ORDER}, "two pounds", None, False, "is not JSON"),
        ({"schema": ORDER, "matches": "3"}, '{"pounds": 2}', None, False, "does not match 3"),
        ({"like": "Rain is water.", "similarity": "70%"}, "Water falls.", 0.7, True, "70% like the text expected"),
        ({"like": "Rain is water.", "similarity": "70%"}, "Cats.", 0.69, False, "'Cats.': 69% like the text expected"),
        ({"like": "Rain is water."}, "", None, False, "the answer is empty"),
    ],
)
def test_an_answer_is_judged(
    prompt: dict[str, object], text: str, likeness: float | None, is_right: bool, said: str
) -> None:
    verdict, found = judge(Prompt.model_validate({"prompt": "?", **prompt}), text, likeness)
    assert verdict == is_right
    assert said in found


def test_the_cosine_is_that_of_the_angle() -> None:
    assert cosine([1, 0], [3, 3]) == pytest.approx(0.7071, abs=1e-4)
    assert cosine([1, 2], [-1, -2]) == pytest.approx(-1)
    assert cosine([0, 0], [1, 1]) == 0
    assert cosine([1], [1, 1]) == 0


def test_each_model_is_asked_all_its_prompts_before_the_next_model() -> None:
    both, one = {"prompt": "A"}, {"prompt": "B", "model": "llama2"}
    asked = prompts_of(_spec([both, one]))
    assert [(model, prompt.title) for model, prompt in asked] == [
        ("llama2:latest", "A"),
        ("llama2:latest", "B"),
        ("phi3:latest", "A"),
    ]


def test_without_prompts_every_model_has_to_say_something() -> None:
    assert [(model, prompt) for model, prompt in prompts_of(_spec([]))] == [
        ("llama2:latest", golden.HELLO),
        ("phi3:latest", golden.HELLO),
    ]


def _spec(prompts: list[dict[str, str]]) -> Spec:
    return Spec.model_validate(
        {
            "name": "llm",
            "image": "acme/llm:1",
            "models": ["llama2", "phi3"],
            "sites": {"a": {"cloud": "local", "hosts": ["127.0.0.1"]}},
            "validation": {"prompts": prompts},
        }
    )
