"""What scaling costs and what it is worth: the scenarios of `arriero simulate`, all policies, by seeds, against bars.

Each policy has the same traffic, prices, starts, Spot mix and router. The bars compare means over the seeds: ours at
least 43 % cheaper than the fixed peak at no worse p99 of the first token, better on both axes than CPU target tracking
and a window of requests, within 15 % of a clairvoyant's cost.
Exit code 1 if a bar is missed. Ten seeds of both weeks are an hour and a half on one core; what was played by the same
code is not played again (`--kept`), so a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from bars import Bar, conclude
from kept import Kept

from arriero.simulate import report
from arriero.simulate.compare import NAMES
from arriero.simulate.report import Summary
from arriero.simulate.scenario import load

SAVING, OF_BOUND = 0.43, 0.15
PEERS = ("CPU target tracking", "requests a second")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", help="conversation and code, if none is named")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--days", type=float, default=0.0, help="instead of the scenario's week")
    parser.add_argument("--spot", choices=("no", "yes", "both"), default="both")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--html", default="", help="a folder for the reports")
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    parser.add_argument("--kept", default=str(Path(sys.prefix, "scaling-kept.jsonl")), help="plays that were played")
    asked = parser.parse_args()
    kinds = {"no": (False,), "yes": (True,), "both": (False, True)}[asked.spot]
    kept = Kept(Path(asked.kept))
    bars: list[Bar] = []
    for name in asked.scenario or ("conversation", "code"):
        scene = load(name, "", asked.days)
        outcomes = list(kept.all(scene, NAMES, range(1, asked.seeds + 1), kinds, asked.jobs))
        found = report.summaries(outcomes)
        print(scene.scenario.title, *report.table(found), sep="\n")
        if asked.html:
            Path(asked.html, f"{name}.html").write_text(report.html(scene, found, outcomes))
        for with_spot in kinds:
            kind = [each for each in found if each.with_spot == with_spot]
            bars += judged(f"{name}, {'with' if with_spot else 'without'} Spot", {each.policy: each for each in kind})
    return conclude(bars, asked.report)


def judged(title: str, found: dict[str, Summary]) -> Iterator[Bar]:
    ours, fixed, bound = found["arriero"], found["fixed peak"], found["clairvoyant"]
    yield Bar(f"{title}: cheaper than the fixed peak by", 1 - ours.cost.value / fixed.cost.value, "", SAVING, True)
    yield Bar("  p99 of the first token, of the fixed peak's", ours.p99.value / fixed.p99.value, "x", 1.0)
    for peer in PEERS:
        yield Bar(f"  cost, of {peer}'s", ours.cost.value / found[peer].cost.value, "x", 1.0)
        yield Bar(f"  p99, of {peer}'s", ours.p99.value / found[peer].p99.value, "x", 1.0)
    yield Bar("  dearer than the clairvoyant by", ours.cost.value / bound.cost.value - 1, "", OF_BOUND)
    yield Bar("  p99, of the clairvoyant's (told only)", ours.p99.value / bound.p99.value, "x")


if __name__ == "__main__":
    sys.exit(main())
