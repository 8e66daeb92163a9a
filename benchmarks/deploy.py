"""What a plan and a deployment cost, beside plain Ansible, in one run on the stage.

    python benchmarks/deploy.py [--latency 0.5] [--report FILE]

Prints seconds and ratios: `plan` against the whole converged playbook, one changed site against it, four sites side by
side against one after another (with no latency, and with the clouds' recorded latencies scaled), and CPU time of both.
Exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bars import Bar, conclude

EXAMPLE = Path(__file__).parent.parent / "examples/two-clouds/arriero.yaml"
SITES = ("aws-east", "aws-west", "azure-east", "azure-eu")
REPEATS = 3
ARRIERO = (sys.executable, "-m", "arriero")


@dataclass
class Cost:
    """Wall and CPU seconds of a command with all its children."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)


def measured(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> Cost:
    """Runs it; a failure ends the benchmark with what it printed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ended = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        sys.exit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def arriero(folder: Path, *arguments: str) -> Cost:
    return measured([*ARRIERO, *arguments], folder)


@contextmanager
def project(latency: float) -> Iterator[Path]:
    """A fresh project on a stage of its own."""
    with tempfile.TemporaryDirectory(prefix="arriero-bench-") as name:
        folder = Path(name)
        shutil.copy(EXAMPLE, folder / "arriero.yaml")
        os.environ["ARRIERO_STAGE_LATENCY"] = str(latency)
        try:
            arriero(folder, "rehearse", "start")
            yield folder
        finally:
            arriero(folder, "down", "--purge", "--yes")
            arriero(folder, "rehearse", "stop")


def side_by_side_and_apart(latency: float) -> tuple[Cost, Cost]:
    with project(latency) as folder:
        together = arriero(folder, "up", "--yes", "--no-gateway")
    with project(latency) as folder:
        apart = Cost()
        for site in SITES:
            apart += arriero(folder, "up", "--yes", "--no-gateway", "--site", site)
    return together, apart


def converged() -> tuple[Cost, Cost, Cost]:
    """The plan, the whole playbook and one changed site, on four converged sites."""
    with project(0) as folder:
        arriero(folder, "up", "--yes", "--no-gateway")
        plans = sorted((arriero(folder, "plan") for _ in range(3)), key=lambda cost: cost.wall)
        spec = (folder / "arriero.yaml").read_text()
        playbooks, ones = [], []
        # In turn, so that a neighbour's load weighs on both.
        for value in range(REPEATS):
            playbooks.append(measured(*plain_ansible(folder)))
            changed = spec.replace(
                "region: us-west-2,", f"region: us-west-2, environment: {{OLLAMA_DEBUG: '{value}'}},"
            )
            if changed == spec:
                sys.exit("the example has changed: there is no site in us-west-2 to change")
            (folder / "arriero.yaml").write_text(changed)
            ones.append(arriero(folder, "up", "--yes", "--no-gateway"))
        return plans[1], middle(playbooks), middle(ones)


def middle(costs: list[Cost]) -> Cost:
    return sorted(costs, key=lambda cost: cost.wall)[len(costs) // 2]


def plain_ansible(folder: Path) -> tuple[list[str], Path, dict[str, str]]:
    shown = subprocess.run([*ARRIERO, "env", "--json"], cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / "fleet.arriero.yml").write_text("plugin: arriero.fleet.fleet\nspec: arriero.yaml\n")
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [playbook, "-i", "fleet.arriero.yml", "-f", str(len(SITES)), "arriero.fleet.site"]
    # Without buffers, Python reads each module from its pipe byte by byte: that would only slow our peer.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return command, folder, {**own, **json.loads(shown)["environment"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.5, help="the clouds' recorded latencies times this")
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    plan, playbook, one = converged()
    print(f"plan {plan.wall:.2f} s, whole playbook {playbook.wall:.1f} s, one site changed {one.wall:.1f} s")
    bars = [
        Bar("the playbook's time, times the plan's", playbook.wall / plan.wall, "x", 15, is_least=True),
        Bar("one changed site, of the playbook's time", one.wall / playbook.wall, "", 0.25),
        Bar("one changed site, of the playbook's CPU", one.cpu / playbook.cpu),
    ]
    for scale, bar in ((0.0, 0.7), (asked.latency, 0.4)):
        together, apart = side_by_side_and_apart(scale)
        print(f"latency x {scale:g}: four sites together {together.wall:.1f} s, one after another {apart.wall:.1f} s")
        bars += [
            Bar(f"four sites together, of the time apart, latency x {scale:g}", together.wall / apart.wall, "", bar),
            Bar(f"four sites together, of the CPU apart, latency x {scale:g}", together.cpu / apart.cpu, "", 1.15),
        ]
    return conclude(bars, asked.report)


if __name__ == "__main__":
    sys.exit(main())
