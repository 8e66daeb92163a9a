"""What the stories of an image's whole way share: a project with a workshop, rehearsed with the models it has baked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import workshop
from shop import Shop
from workshop import digest_of

from arriero.clouds.azure.connection import connect
from arriero.clouds.endpoints import Endpoints

MORE = """\
size: {cpu: 2 vCPU, memory: 4GiB}
scale: {min: 1}
validation: {prompts: [{prompt: hello, model: tiny}]}
"""


class Line:
    """The shop's project, rehearsed: its targets' Ollama has the models of the image that was built."""

    def __init__(self, shop: Shop, models: Path) -> None:
        self.shop, self.models = shop, models

    @property
    def east(self) -> str:
        """The image's name in the spec, which is that of the eastern registry."""
        return f"{self.shop.east}/acme/{self.shop.name}"

    @property
    def environment(self) -> dict[str, str]:
        own = {"ARRIERO_REHEARSE": "1", "ARRIERO_STAGE_MODELS": str(self.models)}
        return {**os.environ, **self.shop.made.environment, **own, "ARRIERO_OLLAMA": str(workshop.ollama())}

    def running(self) -> list[str]:
        """Containers of a trial, and the gateway of a validation."""
        containers = self.shop.made.docker("ps", "--all", "--quiet").split()
        return [*containers, *map(str, (self.shop.folder / ".arriero/edge").glob("edge.json"))]

    def arriero(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "arriero", *words],
            cwd=self.shop.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr[-3000:]
        return ended

    def images(self) -> dict[str, set[str]]:
        """What the sites' containers are made from, as the clouds have it: ECS by the task definition that the service
        runs, ACI by its groups.
        """
        told = self.json("env")["environment"]
        session = boto3.Session(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
        ecs = session.client("ecs", endpoint_url=told["AWS_ENDPOINT_URL"])
        (service,) = ecs.describe_services(cluster="llm-east", services=["llm-east"])["services"]
        task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        with Endpoints("the test", told).entered():
            groups = connect().list("/providers/Microsoft.ContainerInstance/containerGroups", "2025-09-01")
        containers = [container for group in groups for container in group["properties"]["containers"]]
        return {
            "east": {container["image"] for container in task["containerDefinitions"]},
            "west": {container["properties"]["image"] for container in containers},
        }

    def images_of(self, digest: str) -> dict[str, set[str]]:
        return {"east": {f"{self.east}@{digest}"}, "west": {f"{self.shop.west}/other/{self.shop.name}@{digest}"}}

    def names(self, tag: str) -> set[str]:
        """The digests that have the name at both registries."""
        shop = self.shop
        return {digest_of(shop.east, f"acme/{shop.name}", tag), digest_of(shop.west, f"other/{shop.name}", tag)}

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.arriero(*words, "--json", code=code).stdout)

    def take_models(self) -> None:
        """Has the stage's targets serve what was built last."""
        container = self.shop.made.docker("create", "arriero/llm:built")
        self.shop.made.docker("cp", f"{container}:/models/.", str(self.models))
        self.shop.made.docker("rm", "--volumes", container)
