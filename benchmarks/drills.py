"""Every drill of `arriero drill --all`, many times with other seeds, on one stage after the other: the worst is shown.

    python benchmarks/drills.py [--runs N] [--seed S] [--minutes M] [--progress FILE] [--report FILE]

A service of two clouds, one of whose models is in storage, under the recorded code trace. Each drill that was played is
a line of FILE; those played at this state of the product are not played again, so it can be cut off at any time. Bars
are the promises of the drills themselves. Exit code 1 where one was not kept, or drills are left.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bars import table

ROOT = Path(__file__).parents[1]
PROGRESS = ROOT / "docs" / "evidence" / "drills.jsonl"
# What a played drill is about: when it changes, all are to be played again.
PROVEN = ("src", "benchmarks/drills.py", "requirements")
SCENARIOS = (
    *("region-loss", "cloud-loss", "zone-loss", "spot-storm", "slow-storage", "registry-loss", "bad-release"),
    *("ledger-loss", "network-partition", "clock-skew"),
)
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2, {name: "llama2:70b", from: storage}]
rehearse: always
scale: {min: 2, max: 3, by: hand}
ledger: {lease: 60s}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus, role: standby}
failover:
  pairs: [{sites: [aws-east, azure-east], rto: 5s, rpo: 0s}]
"""
# A stage serves for so many drills: what a ledger holds makes each deployment slower.
PER_STAGE = 40


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="how many seeds")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--minutes", type=float, default=100_000.0, help="begin no drill after that time")
    parser.add_argument("--progress", type=Path, default=PROGRESS)
    parser.add_argument("--report", type=Path, default=None, help="a JSON file for the figures")
    asked = parser.parse_args()
    end, state = time.monotonic() + 60 * asked.minutes, _state()
    rows = _rows(asked.progress, state)
    wanted = [(name, seed) for seed in range(asked.seed, asked.seed + asked.runs) for name in SCENARIOS]
    left = [each for each in wanted if each not in {(row["scenario"], row["seed"]) for row in rows}]
    while left and time.monotonic() < end:
        with _service() as folder:
            for name, seed in left[:PER_STAGE]:
                if time.monotonic() > end:
                    break
                row = {**_drill(folder, name, seed), "state": state}
                rows.append(row)
                with asked.progress.open("a") as out:
                    out.write(json.dumps(row) + "\n")
                print(f"{name} {seed}: {'passed' if row['passed'] else row['problems']}", flush=True)
        left = left[PER_STAGE:]
    return _conclude([row for row in rows if (row["scenario"], row["seed"]) in wanted], len(wanted), asked.report)


@contextlib.contextmanager
def _service() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="arriero-drills-") as name:
        folder = Path(name)
        (folder / "arriero.yaml").write_text(SPEC)
        try:
            yield folder
        finally:
            for words in (("down", "--purge", "--yes"), ("rehearse", "stop")):
                _arriero(folder, *words)


def _drill(folder: Path, name: str, seed: int) -> dict[str, Any]:
    ended = _arriero(folder, "drill", "--scenario", name, "--seed", str(seed), "--json", "--yes")
    try:
        (found,) = json.loads(ended.stdout.splitlines()[-1])["drills"]
    except (ValueError, KeyError, IndexError):
        words = f"{ended.stdout[-400:]} {ended.stderr[-200:]}"
        return {"scenario": name, "seed": seed, "passed": False, "problems": [f"exit code {ended.returncode}: {words}"]}
    return dict(found)


def _conclude(rows: list[dict[str, Any]], wanted: int, report: Path | None) -> int:
    worst = [_worst(name, [row for row in rows if row["scenario"] == name]) for name in SCENARIOS]
    columns = ("scenario", "drills", "passed", "RTO s, worst", "promised", "requests", "lost", "retried", "migrated",
               "in words", "cut", "records lost", "recovered s, worst")  # fmt: skip
    table(columns, [tuple(each.values()) for each in worst])
    bad = [row for row in rows if not row["passed"]]
    for row in bad:
        print(f"{row['scenario']} {row['seed']}:", *row["problems"], sep="\n  ")
    print(f"{len(rows)} of {wanted} drills played, {len(bad)} not as promised")
    if report:
        told = [{"scenario": row["scenario"], "seed": row["seed"], "problems": row["problems"]} for row in bad]
        figures = {"schema": 1, "wanted": wanted, "played": len(rows), "worst": worst, "not_as_promised": told}
        report.write_text(json.dumps(figures, indent=2) + "\n")
    return int(bool(bad) or len(rows) < wanted)


def _worst(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    def most(key: str) -> float:
        return float(max((row.get(key) or 0.0 for row in rows), default=0.0))

    def total(key: str) -> int:
        return sum(int(row.get(key) or 0) for row in rows)

    return {
        "scenario": name,
        "drills": len(rows),
        "passed": sum(row["passed"] for row in rows),
        "rto_seconds": most("rto_seconds"),
        "promised": most("rto_promised_seconds"),
        **{key: total(key) for key in ("requests", "lost", "retried", "migrated", "explicit", "silent")},
        "rpo_lost_records": total("rpo_lost_records"),
        "recovered_after_seconds": most("recovered_after_seconds"),
    }


def _arriero(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "arriero", *words]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800, check=False
    )


def _rows(progress: Path, state: str) -> list[dict[str, Any]]:
    if not progress.exists():
        return []
    rows = [json.loads(line) for line in progress.read_text().splitlines()]
    return [row for row in rows if row["state"] == state]


def _state() -> str:
    """A hash of all that a drill is about, as it is on the disk."""
    found = hashlib.sha256()
    for place in PROVEN:
        path = ROOT / place
        for file in sorted(path.rglob("*") if path.is_dir() else [path]):
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return found.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
