"""What the emulated Log Analytics understands of KQL, and that it refuses all else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from arriero.rehearse.azure.answers import ArmError
from arriero.rehearse.azure.log_query import Row, answer

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ROWS = [
    Row(NOON + timedelta(seconds=second), {"ContainerGroup_s": group, "ContainerName_s": name, "Message": text})
    for second, group, name, text in [
        (30, "llm-west-r1-1", "ollama", "Listening on 11435"),
        (10, "llm-east-r1-1", "ollama", 'msg="CUDA error: out of memory"'),
        (20, "llm-east-r2-1", "sidecar", "GET /api/chat"),
    ]
]


def asked(*operators: str) -> list[str]:
    lines = "\n| ".join(("ContainerInstanceLog_CL", *operators, "project Message"))
    return [row[0] for row in answer(lines, ROWS)["tables"][0]["rows"]]


@pytest.mark.parametrize(
    ("operators", "seconds"),
    [
        ((), (30, 10, 20)),
        (("order by TimeGenerated asc",), (10, 20, 30)),
        (("order by TimeGenerated desc", "take 2"), (30, 20)),
        (("where TimeGenerated >= datetime(2026-11-29T12:00:20Z)",), (30, 20)),
        (("where TimeGenerated < datetime(2026-11-29T12:00:20Z)",), (10,)),
        (('where ContainerGroup_s startswith "LLM-east-r"',), (10, 20)),
        (('where ContainerName_s == "ollama"',), (30, 10)),
        (('where ContainerName_s == "Ollama"',), ()),
        (('where Message contains "cuda ERROR"',), (10,)),
        (('where Message contains "msg=\\"CUDA"',), (10,)),
    ],
)
def test_a_question_is_answered(operators: tuple[str, ...], seconds: tuple[int, ...]) -> None:
    by_second = {(row.at - NOON).seconds: row.column("Message") for row in ROWS}
    assert asked(*operators) == [by_second[second] for second in seconds]


def test_an_answer_names_its_columns() -> None:
    (table,) = answer("ContainerInstanceLog_CL\n| take 1\n| project TimeGenerated, Message", ROWS)["tables"]
    assert table == {
        "name": "PrimaryResult",
        "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Message", "type": "string"}],
        "rows": [["2026-11-29T12:00:30Z", "Listening on 11435"]],
    }


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("ContainerEvent_CL", "ContainerEvent_CL"),
        ("ContainerInstanceLog_CL\n| summarize count()", "summarize count()"),
        ('ContainerInstanceLog_CL\n| where Nothing_s == "a"', 'where Nothing_s == "a"'),
        ("ContainerInstanceLog_CL\n| where TimeGenerated > ago(1h)", "where TimeGenerated > ago(1h)"),
        ("ContainerInstanceLog_CL\n| where TimeGenerated > datetime(noon)", "datetime(noon)"),
        ('ContainerInstanceLog_CL\n| where Message == "a" or true', 'where Message == "a" or true'),
        ("ContainerInstanceLog_CL\n| project Message\n| project Location_s", "project Location_s"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(query: str, named: str) -> None:
    with pytest.raises(ArmError) as caught:
        answer(query, ROWS)
    assert caught.value.message == f"The stage's Log Analytics does not understand '{named}'."


def test_before_the_first_line_there_is_no_table() -> None:
    with pytest.raises(ArmError, match="Failed to resolve table or column expression named 'ContainerInstanceLog_CL'"):
        answer("ContainerInstanceLog_CL", [])
