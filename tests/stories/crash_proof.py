"""Every crash point of a four-site deployment, one after the other: a part of `make proof`.

    python tests/stories/crash_proof.py [--points N] [--seed S] [--share K/N] [--progress FILE] [--report FILE]

Points that FILE says were played, at this state of the product, are not played again; so it can be cut off at any time.
Those that overtake one another make a chain, and are written down together. A stage serves for some sixty points, for a
ledger that grows makes each deployment slower. With `--share 0/2` and `--share 1/2` two of them play side by side, each
every second point, into one FILE; one without it plays what is left, and tells of all. Exit code 1 where a point did
not end as it should, or points are left.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import crashes
from crashes import Played, Point

ROOT = Path(__file__).parents[2]
PROGRESS = ROOT / "docs" / "evidence" / "crash-points.jsonl"
PER_STAGE = 60
# What a played point is about: when it changes, all are to be played again.
PROVEN = ("src", "tests/stories/crashes.py", "requirements")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000, help="at most so many, in an order that the seed gives")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", default="0/1", help="only those points whose number leaves K when divided by N")
    parser.add_argument("--minutes", type=float, default=100_000.0, help="begin no point after that time")
    parser.add_argument("--progress", type=Path, default=PROGRESS)
    parser.add_argument("--report", type=Path, default=None, help="a JSON file for the figures")
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    place, shares = map(int, asked.share.split("/"))
    state = _state()
    rows = _rows(asked.progress, state)
    count, left = max((row["of"] for row in rows), default=0), 1
    while left and time.monotonic() < end:
        with tempfile.TemporaryDirectory(prefix="arriero-crashes-") as name, crashes.fleet(Path(name)) as fleet:
            calls, told = fleet.count()
            count = max(2 * calls, *(row["of"] for row in rows)) if rows else 2 * calls
            print(f"a clean deployment makes {calls} writing calls:", dict(_kinds(told)), flush=True)
            done = {row["point"] for row in rows}
            wanted = [n for n in crashes.sample(count, count, asked.seed) if n not in done and n % shares == place]
            wanted = _spread(wanted, asked.seed)[: max(0, asked.points - len(done))]
            for chain in crashes.chains(wanted[:PER_STAGE]):
                if time.monotonic() > end:
                    break
                played = fleet.play([Point.numbered(number) for number in chain])
                fresh = [_row(number, count, each, state) for number, each in zip(chain, played, strict=True)]
                rows += fresh
                with asked.progress.open("a") as out:
                    out.writelines(json.dumps(row) + "\n" for row in fresh)
                for row in fresh:
                    head = f"{row['what']}, at {row['at']}: {row['end']} ({row['seconds']} s)"
                    print(head, *row["problems"], sep="\n  ", flush=True)
            left = len(wanted[PER_STAGE:])
    return _conclude(rows, count, asked.seed, asked.report)


def _row(number: int, count: int, played: Played, state: str) -> dict[str, Any]:
    return {
        "point": number,
        "of": count,
        "what": str(played.point),
        "at": played.tripped.at or "(the deployment made fewer calls)",
        "end": played.said,
        "asked": played.asked,
        "seconds": played.seconds,
        "problems": list(played.problems),
        "state": state,
        "killed": bool(played.tripped.killed),
    }


def _conclude(rows: list[dict[str, Any]], count: int, seed: int, report: Path | None) -> int:
    bad = [row for row in rows if row["problems"]]
    figures = {
        "seed": seed,
        "points": count,
        "points_played": len(rows),
        "seconds_a_point": round(sum(row["seconds"] for row in rows) / max(1, len(rows)), 1),
        "deployers_killed": sum(row["killed"] for row in rows),
        "points_with_problems": len(bad),
        "requests_asked": sum(row["asked"] for row in rows),
        "requests_lost": sum(problem.startswith("lost:") for row in rows for problem in row["problems"]),
        "killed_at": dict(_kinds([row["at"] for row in rows if row["killed"]])),
        "ends": dict(Counter(row["end"].rstrip("0123456789 ") for row in rows)),
        "problems": [{"point": row["what"], "at": row["at"], "problems": row["problems"]} for row in bad],
    }
    print(json.dumps(figures, indent=2))
    if report:
        report.write_text(json.dumps({"schema": 1, **figures}))
    return int(bool(bad) or len(rows) < count)


def _kinds(calls: list[str]) -> Counter[str]:
    """How many calls of each kind: the ledger's and the journal's by what they write, clouds' by the cloud."""
    return Counter(_kind(call) for call in calls)


def _kind(call: str) -> str:
    cloud = call.split(" ")[0]
    if cloud == "gateway":
        return "control"
    stores = ("s3:PutObject", "PUT blob")
    if not any(word in call for word in stores):
        return f"calls to {cloud}"
    return next((kind for kind in ("journal", "head", "releases", "notes") if kind in call), "ledger, other")


def _spread(numbers: list[int], seed: int) -> list[int]:
    """So that any part of them is an even sample: in steps of the golden ratio."""
    left, order, place = list(numbers), [], seed
    while left:
        place = (place + max(1, round(len(left) * 0.618))) % len(left)
        order.append(left.pop(place))
    return order


def _rows(progress: Path, state: str) -> list[dict[str, Any]]:
    """The points that were played at this state of the product."""
    if not progress.exists():
        return []
    rows = [json.loads(line) for line in progress.read_text().splitlines()]
    return [row for row in rows if row["state"] == state]


def _state() -> str:
    """A hash of all that a point is about, as it is on the disk."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PROVEN]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    hashed = ["git", "hash-object", "--stdin-paths"]
    paths = "\n".join(sorted(filter(None, names)))
    hashes = subprocess.run(hashed, cwd=ROOT, input=paths, capture_output=True, text=True, check=True).stdout
    whole = subprocess.run(["git", "hash-object", "--stdin"], input=hashes, capture_output=True, text=True, check=True)
    return whole.stdout.strip()[:12]


if __name__ == "__main__":
    sys.exit(main())
