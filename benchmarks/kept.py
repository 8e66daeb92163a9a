"""Plays that were played already by the same code: a comparison that was cut off goes on where it was."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from arriero.simulate.compare import Outcome, play
from arriero.simulate.figures import Row
from arriero.simulate.scenario import Scene

ROOT = Path(__file__).parent.parent / "src/arriero"
# What an outcome depends on.
CODE = ("simulate", "scale", "gateway/routing", "control", "catalog")


def fingerprint() -> str:
    """Of all code and data that an outcome depends on."""
    digest = sha256()
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass
class Kept:
    """A file of lines, each an outcome by its key; lines of other code are left alone."""

    path: Path
    _code: str = field(default_factory=fingerprint)
    _known: dict[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        for line in lines:
            key, values = json.loads(line)
            rows = tuple(Row(**row) for row in values.pop("rows"))
            percentiles = tuple(values.pop("percentiles"))
            self._known[key] = Outcome(**values, rows=rows, percentiles=percentiles)

    def all(
        self, scene: Scene, policies: Sequence[str], seeds: Sequence[int], kinds: Sequence[bool], jobs: int
    ) -> Iterator[Outcome]:
        """In the order of `compared`; what is not known is played, `jobs` at a time, and kept at once."""
        asked = [(policy, seed, spot) for spot in kinds for seed in seeds for policy in policies]
        missing = [each for each in asked if self._key(scene, *each) not in self._known]
        with ProcessPoolExecutor(jobs) as pool:
            futures = {pool.submit(play, scene, *each): each for each in missing}
            for future in as_completed(futures):
                outcome = future.result()
                self._keep(self._key(scene, *futures[future]), outcome)
                print(f"{outcome.policy}, seed {outcome.seed}: ${outcome.cost:.0f}", file=sys.stderr, flush=True)
        yield from (self._known[self._key(scene, *each)] for each in asked)

    def _key(self, scene: Scene, policy: str, seed: int, spot: bool) -> str:
        return (
            f"{self._code}/{sha256(scene.scenario.model_dump_json().encode()).hexdigest()[:16]}/{policy}/{seed}/{spot}"
        )

    def _keep(self, key: str, outcome: Outcome) -> None:
        self._known[key] = outcome
        with self.path.open("a") as file:
            file.write(json.dumps((key, asdict(outcome))) + "\n")
