"""What the controller's own eyes are worth: it has to learn what a request takes of a target, which `ours` is told.

    python benchmarks/controlled.py [--seeds 3] [--days 7] [--report FILE]

The weeks of `scaling.py` without Spot: the fixed peak, and `arriero controller` as `simulate/controlled.py` plays it at
a utilisation each. Bars, by means over the seeds: on code 43 % cheaper than the fixed peak at no worse p99 of the first
token, the conversation no dearer. Exit code 1 if one is missed. Three seeds are three minutes of one core.
"""

from __future__ import annotations

import argparse
import sys
from statistics import fmean

from bars import Bar, conclude

from arriero.scale.autoscale import Policy
from arriero.simulate.compare import policies
from arriero.simulate.controlled import Controlled
from arriero.simulate.figures import Figures
from arriero.simulate.play import Play
from arriero.simulate.policies import Scaling
from arriero.simulate.scenario import Scene, load

# The default is 75 %; code's bursts leave less room.
UTILISATION = {"code": 0.65, "conversation": 0.75}
SAVING = {"code": 0.43, "conversation": 0.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--days", type=float, default=0.0, help="instead of the scenario's week")
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    bars: list[Bar] = []
    for name, utilisation in UTILISATION.items():
        scene, seeds = load(name, "", asked.days), range(1, asked.seeds + 1)
        fixed = [played(scene, seed, policies(scene, seed)["fixed peak"]()) for seed in seeds]
        eyes = [played(scene, seed, controller(scene, utilisation)) for seed in seeds]
        print(
            name, f"{'fixed peak':30} {told(fixed)}", f"{f'controller at {utilisation:.0%}':30} {told(eyes)}", sep="\n"
        )
        cost = fmean(each.cost for each in eyes) / fmean(each.cost for each in fixed)
        wait = fmean(map(p99, eyes)) / fmean(map(p99, fixed))
        bars.append(Bar(f"{name}: cheaper than the fixed peak by", 1 - cost, "", SAVING[name], True))
        bars.append(Bar("  p99 of the first token, of the fixed peak's", wait, "x", 1.0 if name == "code" else None))
    return conclude(bars, asked.report)


def controller(scene: Scene, utilisation: float) -> Controlled:
    counts = scene.scenario.counts
    return Controlled(Policy(counts.min, counts.max, utilisation=utilisation), scene.service.slots)


def played(scene: Scene, seed: int, scaling: Scaling) -> Figures:
    whole = Play(scene.service, scene.pace, scene.cloud, scene.mix(False), scaling, seed, scene.seconds)
    return whole.run(scene.arrivals(seed))


def p99(found: Figures) -> float:
    return found.first_token.percentile(99)


def told(plays: list[Figures]) -> str:
    """Each seed's p99 in seconds, its dollars, and how many requests were refused."""
    return "; ".join(f"{p99(each):.2f} s ${each.cost:,.0f} {each.refusals} refused" for each in plays)


if __name__ == "__main__":
    sys.exit(main())
