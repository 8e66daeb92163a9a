"""The whole proof, part by part: `make proof`. A part that was proven is not run again while what it proves stands,
so a proof that was cut off goes on where it was. `make proof PARTS="wide faults"` runs these parts only.

Some parts need a real Ollama: the one that ARRIERO_OLLAMA names, else the one that `make proof` built first.

Writes `docs/evidence/<part>.json`: commit, time, seconds, exit code, and the figures that the part printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
PYTEST = (sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-rs")
# They build on an engine, with the real Ollama in the image.
IMAGES = tuple(f"tests/stories/test_{name}.py" for name in ("image", "image_line", "jenkins_image"))
# Stands for the file into which a program writes its figures.
REPORT = "{report}"
PARTS: dict[str, tuple[str, ...]] = {
    # Properties with cases that nobody has tried yet.
    "tests": ("env", "HYPOTHESIS_PROFILE=default", *PYTEST, "-m", "not story and not wide"),
    "stories": (*PYTEST, "-m", "story and not wide"),
    "wide": (*PYTEST, "-m", "wide", *(f"--ignore={story}" for story in IMAGES)),
    "images": (*PYTEST, *IMAGES),
    "ollamas": (
        *PYTEST,
        *(
            f"tests/gateway/test_{name}.py"
            for name in ("migration", "official_clients", "changing_ollamas", "stored_by_ollama", "footprint")
        ),
    ),
    "crash-points": (sys.executable, "tests/stories/crash_proof.py", "--report", REPORT),
    "crashes": ("env", "ARRIERO_CRASH_POINTS=1000", "ARRIERO_SEED=0", *PYTEST, "tests/stories/test_interrupted.py"),
    "benchmark-deploy": (sys.executable, "benchmarks/deploy.py", "--report", REPORT),
    "benchmark-gateway": (sys.executable, "benchmarks/gateway.py", "--report", REPORT),
    "benchmark-routing": (sys.executable, "benchmarks/routing.py", "--report", REPORT),
    "simulated": (sys.executable, "benchmarks/simulated.py", "--report", REPORT),
    "staged": (sys.executable, "benchmarks/staged.py", "--report", REPORT),
    "simulator": (sys.executable, "benchmarks/simulator.py", "--report", REPORT),
    "scaling": (sys.executable, "benchmarks/scaling.py", "--jobs", "2", "--report", REPORT),
    "drills": (sys.executable, "benchmarks/drills.py", "--runs", "20", "--report", REPORT),
    "faults": (sys.executable, "benchmarks/faults.py", "--report", REPORT),
    "judge": (sys.executable, "tests/deploy/simulated_trials.py", "--report", REPORT),
    "canary": ("env", "ARRIERO_CANARY_RUNS=10", *PYTEST, "tests/stories/test_canary.py"),
    "page": (sys.executable, "benchmarks/ui.py", "--report", REPORT),
    "rollback": (sys.executable, "benchmarks/rollback.py", "--report", REPORT),
    "soak": (sys.executable, "benchmarks/soak.py", "--report", REPORT),
}
# The others use the built-in engine, whatever is installed here.
WITH_OLLAMA = frozenset(("images", "ollamas", "benchmark-routing"))
OLLAMA = "ARRIERO_OLLAMA"
LINES_KEPT = 40
# What a proof is about: a later commit that changes none of it (this evidence, say) needs no new one.
PROVEN = ("src", "tests", "benchmarks", "examples", "requirements", "pyproject.toml", "Makefile", ".ci")


def main() -> int:
    commit = _git("rev-parse", "HEAD")
    if _git("status", "--porcelain", "--", *PROVEN):
        print("There are changes that are not committed: evidence needs a commit.", file=sys.stderr)
        return 1
    if not Path(_ollama()).exists():
        print(f"There is no {_ollama()}: make ollama builds it, or name one in {OLLAMA}.", file=sys.stderr)
        return 1
    asked = sys.argv[1:] or list(PARTS)
    if strange := sorted(set(asked) - PARTS.keys()):
        print(f"There is no part {', '.join(strange)}; there are {', '.join(PARTS)}.", file=sys.stderr)
        return 1
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    return max(prove(part, PARTS[part], commit) for part in asked)


def prove(part: str, command: tuple[str, ...], commit: str) -> int:
    """Runs one part unless its evidence is of this commit and good; returns its exit code."""
    record = EVIDENCE / f"{part}.json"
    if record.exists() and _still_holds(json.loads(record.read_text()), commit):
        print(f"{part}: proven already")
        return 0
    start, report = time.monotonic(), EVIDENCE / f"{part}.figures.tmp"
    report.unlink(missing_ok=True)
    asked = [str(report) if word == REPORT else word for word in command]
    environment = {name: value for name, value in os.environ.items() if name != OLLAMA}
    if part in WITH_OLLAMA:
        environment[OLLAMA] = _ollama()
    ended = subprocess.run(
        asked, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False
    )
    lines = ended.stdout.replace(str(ROOT), ".").strip().splitlines()[-LINES_KEPT:]
    evidence = {
        "part": part,
        "commit": commit,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 1),
        "exit_code": ended.returncode,
        "printed": lines,
        **_figures(report),
    }
    new = record.with_suffix(".json.tmp")
    new.write_text(json.dumps(evidence, indent=2) + "\n")
    new.replace(record)
    print(f"{part}: exit code {ended.returncode}", *lines, sep="\n  ")
    return ended.returncode


def _ollama() -> str:
    return os.environ.get(OLLAMA) or str(Path(sys.prefix) / "ollama" / "ollama")


def _still_holds(evidence: dict[str, object], commit: str) -> bool:
    diff = ("git", "diff", "--quiet", str(evidence["commit"]), commit, "--", *PROVEN)
    return evidence["exit_code"] == 0 and subprocess.run(diff, cwd=ROOT, check=False).returncode == 0


def _figures(report: Path) -> dict[str, object]:
    """What the program wrote there, which is taken away."""
    if not report.exists():
        return {}
    found: dict[str, object] = json.loads(report.read_text())
    report.unlink()
    return {name: value for name, value in found.items() if name != "schema"}


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
