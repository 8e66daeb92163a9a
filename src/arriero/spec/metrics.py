"""The spec's section `metrics`: what the clouds measure of the targets, besides what they measure anyway."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from arriero.spec.section import Section

# ECS's own words: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ClusterSetting.html
Insights = Literal["enhanced", "enabled", "disabled"]


class Metrics(Section):
    """What the clouds measure of the targets, besides what they measure anyway; they bill it."""

    container_insights: Insights | None = Field(
        default=None,
        description="What CloudWatch measures of clusters at AWS: `enhanced` (each task and container, too), `enabled` "
        "or `disabled`. Unset: as it is, a new cluster as the account has it.",
    )

    @property
    def is_billed(self) -> bool:
        return self.container_insights in ("enhanced", "enabled")
