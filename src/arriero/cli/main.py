"""The command `arriero`: all verbs in one place, and the one door where errors become words and exit codes."""

from __future__ import annotations

import gc
import json
import signal
import sys
from typing import cast

import typer

from arriero.cli.verbs import app_of
from arriero.errors import ArrieroError, Problem, VerdictFailed

# typer brings its own copy of click and exports only some of its errors
UsageError = cast("type[Exception]", typer.BadParameter.__mro__[2])
DONE, ERROR, PENDING, VERDICT_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

OBJECTS_BEFORE_COLLECTION = 1_000_000


def main() -> None:
    """Runs one verb and exits: 0 done, 1 error, 2 changes pending, 3 a verdict failed, 130 interrupted."""
    if not {"gateway", "controller", "top", "logs", "ui"} & set(sys.argv[1:2]):
        # A verb ends before collections pay: nearly all that they look through, a seventh of a plan's time, are the
        # clouds' SDKs, which stay. Programs that run on collect as usual.
        gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
        # A pipeline that is stopped ends its commands so: they give back what they took, as at Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    try:
        return int(app_of(*arguments[:1])(arguments, prog_name="arriero", standalone_mode=False) or DONE)
    except typer.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except ArrieroError as error:
        _tell(error.problems, "--json" in arguments)
        return VERDICT_FAILED if isinstance(error, VerdictFailed) else ERROR
    except UsageError as error:
        return _tell([_usage_problem(error)], "--json" in arguments)
    except BrokenPipeError:
        sys.stderr.close()
        return ERROR


def _tell(problems: tuple[Problem, ...] | list[Problem], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"schema": 1, "error": [problem.as_json() for problem in problems]}))
    else:
        for problem in problems:
            print(problem, file=sys.stderr)
    return ERROR


def _usage_problem(error: Exception) -> Problem:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "arriero"
    text: str = error.format_message()  # type: ignore[attr-defined]
    return Problem(text.rstrip("."), f"see: {path} --help")
