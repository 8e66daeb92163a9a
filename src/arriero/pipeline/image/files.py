"""All files of a build but the user's own: what `arriero export docker` writes and `arriero image build` builds from.

The same spec and the same arriero give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from arriero.pipeline.image import lifecycle
from arriero.pipeline.image.compose import compose
from arriero.pipeline.image.dockerfile import dockerfile
from arriero.pipeline.image.recipe import Recipe, recipe
from arriero.pipeline.image.wheel import file_name, wheel
from arriero.spec.model import Spec

NEXT = "In that folder: copy what README.md names, then DOCKER_BUILDKIT=1 docker build ."


def files(spec: Spec, home: Path) -> Mapping[str, str | bytes]:
    """The kind `docker` of exports. `home` is the spec's folder as seen from the one written into."""
    wanted = recipe(spec)
    rules = {"ecr-lifecycle.json": lifecycle.ecr(spec.image.keep), "acr-purge.yaml": lifecycle.acr(spec)}
    return {**context(wanted), "README.md": _readme(wanted, home), "compose.yaml": compose(spec), **rules}


def context(wanted: Recipe) -> Mapping[str, str | bytes]:
    """What the Dockerfile asks for, but the user's files."""
    return {
        "Dockerfile": dockerfile(wanted),
        ".dockerignore": _ignore(wanted),
        "bake.py": _packaged("bake.py"),
        "sidecar/requirements.lock": _packaged("data/sidecar.lock"),
        f"sidecar/{file_name()}": wheel(),
        **{f"{each.stage}/Modelfile": "FROM ./model.gguf\n" for each in wanted.models if each.model.gguf},
    }


def users_files(wanted: Recipe) -> Mapping[str, str]:
    """What the user has to add: the place in the build's folder, and the path as the spec has it."""
    found = {f"{each.stage}/model.gguf": each.model.gguf for each in wanted.models if each.model.gguf}
    # A Modelfile names files beside it, so its whole folder goes along.
    found |= {each.stage: str(Path(each.model.modelfile).parent) for each in wanted.models if each.model.modelfile}
    found |= {"ollama": wanted.image.ollama_file} if wanted.image.ollama_file else {}
    found |= {"wheels": wanted.image.wheels} if wanted.image.wheels else {}
    return found


def _ignore(wanted: Recipe) -> str:
    """Everything, and then what the build needs: nothing that lies about in the folder gets into it."""
    tops = {place.partition("/")[0] for place in users_files(wanted)} | {"bake.py", "sidecar"}
    return "*\n" + "".join(f"!{top}\n" for top in sorted(tops))


def _packaged(name: str) -> str:
    return resources.files("arriero.pipeline.image").joinpath(name).read_text("utf-8")


def _readme(wanted: Recipe, home: Path) -> str:
    name = wanted.image.name.partition("@")[0]
    copies = [f"cp -rT {home / source} {place}" for place, source in users_files(wanted).items()]
    first = ["Copy into this folder, first:", "", *(f"    {line}" for line in copies), ""] if copies else []
    return "\n".join(
        [
            f"# The image of {wanted.service}",
            "",
            "Made by `arriero export docker`; `arriero image build` does all of this by itself.",
            "",
            *first,
            "Build, and run with a read-only root and without any capability:",
            "",
            f"    DOCKER_BUILDKIT=1 docker build --tag {name} .",
            "    docker compose up",
            "",
            f"The models: {', '.join(each.name for each in wanted.models) or 'none'}. The digest that one must have is",
            "given with `--build-arg MODEL_1_DIGEST=sha256:…`, the login of a private package index with",
            "`--secret id=pip_conf,src=pip.conf`.",
            "",
            "`ecr-lifecycle.json` is a lifecycle policy of ECR (`aws ecr put-lifecycle-policy`), `acr-purge.yaml` a",
            f"task of ACR (`az acr task create`): both keep the images of the newest {wanted.image.keep} releases, and",
            "all that are stable.",
            "",
        ]
    )


def build_arguments(wanted: Recipe, digests: Mapping[str, str]) -> dict[str, str]:
    """The build arguments that pin each model whose digest is known."""
    known = {each: each.model.digest or digests.get(each.name, "") for each in wanted.models}
    return {each.digest_argument: digest for each, digest in known.items() if digest}


def models_label(digests: Mapping[str, str]) -> str:
    """The label `io.arriero.models`: `{"llama2:latest": "sha256:…"}`."""
    return json.dumps(dict(digests), separators=(",", ":"), sort_keys=True)
