"""A project with a workshop of its own, in which its image is built, pushed and run: one for all stories of images.

The base image comes from a private registry, the model from another, Ollama and the sidecar's packages from files.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop import Engine, engine, make_base, make_wheels, ollama, push_model, registry

SPEC = """\
name: llm
image:
  name: {east}/acme/{name}
  registries: {{aws: {east}/acme/{name}, azure: {west}/other/{name}}}
  base: {base}
  ollama_file: ollama
  wheels: wheels
{more}
models:
  - {{name: tiny, pull: {east}/library/tiny, insecure: true, digest: "{digest}"}}
  - {{name: mine, modelfile: mine/Modelfile}}
ollama: {{num_parallel: {slots}}}
sites:
  east: {{cloud: aws, region: us-east-1}}
  west: {{cloud: azure, region: eastus}}
"""


@dataclass
class Shop:
    """`east` and `west` are two registries; the spec's folder is `folder`. `name` is that of the repositories, of which
    each story of releases has its own: their names never move.
    """

    made: Engine
    east: str
    west: str
    base: str
    digest: str
    folder: Path
    name: str = "llm"

    def write(self, slots: int = 4, more: str = "", **changes: str) -> None:
        values = {"east": self.east, "west": self.west, "base": self.base, "digest": self.digest, **changes}
        values["name"] = self.name
        (self.folder / "arriero.yaml").write_text(SPEC.format(slots=slots, more=more, **values))

    def arriero(self, *words: str, engine: Engine | None = None) -> tuple[int, str, str]:
        environment = (engine or self.made).environment
        command = [sys.executable, "-m", "arriero", *words]
        ended = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        return ended.returncode, ended.stdout, ended.stderr

    def build(self, *words: str) -> dict[str, object]:
        code, out, err = self.arriero("image", "build", "--network", "host", "--json", *words)
        assert code == 0, err[-3000:]
        said: dict[str, object] = json.loads(out)
        return said


def opened(home: Path) -> Iterator[Shop]:
    with (
        engine(home / "engine") as made,
        registry(home / "east") as east,
        registry(home / "west") as west,
    ):
        base = make_base(made, home, east)
        folder = home / "project"
        (folder / "mine").mkdir(parents=True)
        shutil.copy2(ollama(), folder / "ollama")
        make_wheels(folder / "wheels")
        digest = push_model(home, east)
        shutil.copy2(home / "tiny.gguf", folder / "mine/mine.gguf")
        (folder / "mine/Modelfile").write_text("FROM ./mine.gguf\nSYSTEM Be short.\n")
        yield Shop(made, east, west, base, digest, folder)
