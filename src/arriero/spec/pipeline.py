"""The spec's section `pipeline`: what the pipelines of `arriero export` need to know besides the service."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from arriero.spec import pipeline_values as of_pipeline
from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.units import Duration

Repository = Annotated[
    str, BeforeValidator(of_pipeline.repository), values.schema(of_pipeline.REPOSITORY_PATTERN, max_length=300)
]
Word = Annotated[str, BeforeValidator(of_pipeline.word), values.schema(of_pipeline.WORD_PATTERN, max_length=100)]
Channel = Annotated[
    str, BeforeValidator(of_pipeline.channel), values.schema(of_pipeline.CHANNEL_PATTERN, max_length=81)
]
Wait = Annotated[Duration, values.above_zero]


class Pipeline(Section):
    """From `git push` to all clouds."""

    repository: Repository = Field(
        default="https://github.com/acme/llm.git", description="The git repository that holds this file."
    )
    branch: Word = Field(default="main", description="The branch that is released.")
    agent: Word = Field(default="arriero", description="The label of the build agents, which have arriero and Docker.")
    approval: bool = Field(
        default=True, strict=True, description="Whether somebody has to say yes before production is touched."
    )
    approvers: tuple[Word, ...] = Field(default=(), description="Who may say yes: users or groups; all, if left out.")
    approve_within: Wait = Field(default=Duration(86400), description="So long is that yes waited for.")
    slack: Channel | None = Field(default=None, description="The Slack channel that is told, like `#releases`.")
    build_within: Wait = Field(default=Duration(7200), description="So long may building, testing and pushing take.")
    deploy_within: Wait = Field(default=Duration(5400), description="So long may deploying and validating take.")
