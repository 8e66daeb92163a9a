"""The spec's section `image`: what every target runs, how it is built, where it is kept, and what it is held against.

A text is short for its `name`. Paths start at the folder of the spec. Rules between keys are in `check_image.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from arriero.catalog import catalog
from arriero.spec import image_values, values
from arriero.spec.section import Section
from arriero.spec.units import Bytes

Severity = Literal["critical", "high", "medium", "low"]
Variant = Literal["cpu", "cuda"]

ImageName = Annotated[str, BeforeValidator(values.image), values.schema(values.IMAGE_PATTERN, max_length=255)]
Pinned = Annotated[str, BeforeValidator(image_values.pinned), values.schema(image_values.PINNED_PATTERN, 255)]
Repository = Annotated[
    str, BeforeValidator(image_values.repository), values.schema(image_values.REPOSITORY_PATTERN, 255)
]
File = Annotated[str, BeforeValidator(values.file_name), WithJsonSchema({"type": "string", "minLength": 1})]
Finding = Annotated[str, BeforeValidator(image_values.finding), values.schema(image_values.FINDING_PATTERN, 64)]
Day = Annotated[date, BeforeValidator(image_values.day), WithJsonSchema({"type": "string", "format": "date"})]
Reason = Annotated[str, BeforeValidator(values.file_name), WithJsonSchema({"type": "string", "minLength": 1})]
Amount = Annotated[Bytes, values.above_zero]
# Whose registry of ECR an image or a host is in, where, and the image's name in it; and an image in ACR.
ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?:/(?P<name>.+))?")
# How the names of Azure's registries end in its public cloud.
AZURES_REGISTRY = ".azurecr.io"
ACR = re.compile(r"(?P<host>[a-z0-9-]+\.azurecr\.(?:io|cn|us))(?::443)?/(?P<path>.+)")


class Allowed(Section):
    """A finding of the scan that is let pass, for a reason and for a time."""

    id: Finding = Field(description="As the scanner names it, like CVE-2024-1234.")
    until: Day = Field(description="The last day on which it is let pass, like 2026-12-31.")
    reason: Reason = Field(description="Why; it stands in the report.")


class Scan(Section):
    """What `arriero image scan` lets pass."""

    severity: Severity = Field(default="high", description="Findings of this severity and above are refused.")
    unfixed: bool = Field(
        default=False, strict=True, description="Whether findings count for which there is no fixed version yet."
    )
    allow: tuple[Allowed, ...] = Field(default=(), description="Findings that are let pass.")


class Image(Section):
    """The container image; written as a text it is its `name`."""

    name: ImageName = Field(description="The image that every target runs: registry/path[:tag][@digest].")
    registries: Mapping[Literal["aws", "azure"], Repository] = Field(
        default={}, description="Where the sites of a cloud pull it from, if not by its name: the same digest, twice."
    )
    replicate: bool = Field(
        default=False,
        strict=True,
        description="Whether each region pulls from a registry there: ECR copies to it, a Premium ACR stands there.",
    )
    base: Pinned = Field(
        default=catalog.base_image("python").reference,
        description="What it is built from: Linux with Python 3.11 or newer, by digest.",
    )
    ollama: Pinned = Field(
        default=catalog.base_image("ollama").reference, description="The image that Ollama is taken from, by digest."
    )
    ollama_file: File | None = Field(default=None, description="In place of `ollama`: the program itself.")
    wheels: File | None = Field(
        default=None, description="A folder with the sidecar's packages and pip, for a build without internet."
    )
    variant: Variant = Field(
        default="cpu", description="`cuda`: with Ollama's libraries for Nvidia's GPUs; its tags begin with cuda-."
    )
    limit: Amount | None = Field(default=None, description="A larger image is not pushed.")
    keep: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=10, description="How many releases' images the registries keep."
    )
    scan: Scan = Field(default=Scan(), description="What the scan lets pass.")

    @property
    def repository(self) -> str:
        """The name without tag and digest."""
        return repository_of(self.name)

    @property
    def tag(self) -> str:
        """As it is written, or the one that is meant without."""
        return tag_of(self.name)

    @property
    def digest(self) -> str:
        """`sha256:…`; empty where it is named by a tag, which can move."""
        return digest_of(self.name)

    def at(self, cloud: str, region: str = "") -> str:
        """The image as the sites of that cloud pull it; with `replicate`, those of a region of AWS."""
        place = next((place for other, place in self.registries.items() if other == cloud), None)
        image = f"{place}{self.name.removeprefix(self.repository)}" if place else self.name
        return in_region(image, region) if self.replicate and cloud == "aws" and region else image


def in_region(image: str, region: str) -> str:
    """The image in the same account's ECR of another region; as it is where it is not in ECR."""
    found = ECR.fullmatch(image)
    return f"{image[: found.start('region')]}{region}{image[found.end('region') :]}" if found else image


def ecr_region(image: str) -> str:
    """The region of the ECR that it is in; empty where it is in none."""
    found = ECR.fullmatch(image)
    return found["region"] if found else ""


def repository_of(name: str) -> str:
    """An image's name without tag and digest; a port is no tag."""
    return _parts(name)[0]


def registry_of(name: str) -> str:
    """The host, and port, of the registry that an image is in, by Docker's rule; empty for Docker Hub."""
    host, slash, _ = name.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else ""


def tag_of(name: str) -> str:
    return _parts(name)[1] or "latest"


def digest_of(name: str) -> str:
    return name.partition("@")[2]


def _parts(name: str) -> tuple[str, str]:
    bare = name.partition("@")[0]
    path, colon, tag = bare.rpartition(":")
    return (path, tag) if colon and "/" not in tag else (bare, "")


def accept_a_bare_name(written: Any) -> Any:
    """`image: acme/llm` is `image: {name: acme/llm}`; problems of the text stand at `image` itself."""
    if isinstance(written, Mapping | Image) or written is None:
        return written
    return Image(name=values.image(written))
