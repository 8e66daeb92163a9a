"""What goes into an image, pure: the models in the order of their layers, and where each has its files from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from arriero.gateway.words.naming import Place, place_of
from arriero.spec.image import Image
from arriero.spec.model import Model, Spec

LABELS = "io.arriero"


@dataclass(frozen=True, slots=True)
class Baked:
    """One model of the image: the stage `model-<number>`, the folder `model-<number>/` if its files are the user's."""

    number: int
    model: Model

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def place(self) -> Place:
        return place_of(self.model.name)

    @property
    def source(self) -> Place:
        """Where it is pulled from."""
        return place_of(self.model.pull or self.model.name)

    @property
    def is_pulled(self) -> bool:
        return not (self.model.modelfile or self.model.gguf)

    @property
    def stage(self) -> str:
        return f"model-{self.number}"

    @property
    def digest_argument(self) -> str:
        return f"MODEL_{self.number}_DIGEST"


@dataclass(frozen=True, slots=True)
class Recipe:
    service: str
    image: Image
    models: tuple[Baked, ...]
    mounted: tuple[Model, ...]
    settings: Mapping[str, str]


def recipe(spec: Spec) -> Recipe:
    """The image of a spec. What is pulled comes first, what the user makes last: it changes more often."""
    baked = [model for model in spec.models if model.source == "baked"]
    ordered = sorted(baked, key=lambda model: bool(model.modelfile or model.gguf))
    models = tuple(Baked(number, model) for number, model in enumerate(ordered, 1))
    mounted = tuple(model for model in spec.models if model.source == "storage")
    settings = {**spec.ollama.variables, "ARRIERO_SLOTS": str(spec.ollama.num_parallel)}
    return Recipe(spec.name, spec.image, models, mounted, settings)
