"""Puts models into a site's storage, once: the job beside an `ollama serve` whose models' folder is that storage.

What is there already, under the digest that is asked for, is left alone; so a job that was cut off goes on where it was
(Ollama keeps the parts that it has). Nothing is ever removed here: a release to go back to may need it.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from arriero.clock import Clock
from arriero.errors import ArrieroError, Problem
from arriero.gateway.wire.address import split_address
from arriero.gateway.words.naming import canonical

START_SECONDS = 120.0
ATTEMPTS = 3
AGAIN_SECONDS = 10.0
# Between two lines of a pull: a registry may be slow to begin, and Ollama verifies large files without a word.
SILENCE_SECONDS = 1800.0
STEPS = 10


@dataclass(frozen=True, slots=True)
class Seed:
    """A model to have: pulled as `pull`, then called `name`; `digest` its manifest's, empty for any."""

    name: str
    pull: str
    digest: str = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """`ollama` is the address of the server that writes into the storage."""

    ollama: str
    seeds: tuple[Seed, ...]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Job:
        """Raises ArrieroError where a variable is missing or wrong."""
        address = environment.get("ARRIERO_OLLAMA_ADDRESS", "127.0.0.1:11435")
        try:
            split_address(address)
            rows = json.loads(environment.get("ARRIERO_SEEDS", ""))
            return cls(address, tuple(Seed(**row) for row in rows))
        except (ValueError, TypeError) as error:
            what, remedy = f"it can't be read: {error}", "give a JSON list of models, each with name and pull"
            raise ArrieroError(Problem(what, remedy, "ARRIERO_SEEDS", "environment")) from error


def seed(job: Job, clock: Clock) -> Iterator[str]:
    """Does it, and says how far it is. Raises ArrieroError with the first model that can't be had."""
    _wait(job, clock)
    for each in job.seeds:
        if _has(job, each):
            yield f"{each.name}: it is there"
            continue
        for attempt in range(1, ATTEMPTS + 1):
            try:
                yield from _pull(job, each)
                break
            except ArrieroError:
                if attempt == ATTEMPTS:
                    raise
                yield f"{each.name}: try {attempt} failed, once more"
                clock.sleep(AGAIN_SECONDS)
        if canonical(each.pull) != canonical(each.name):
            _ask(job, "POST", "/api/copy", {"source": each.pull, "destination": each.name})
        if not _has(job, each):
            found = _digests(job).get(canonical(each.name), "none")
            _ask(job, "DELETE", "/api/delete", {"model": each.name})
            what = f"its digest is {found}, and {each.digest} was asked for; it was changed at its source"
            raise ArrieroError(Problem(what, "correct the digest in the spec, or pull from elsewhere", each.name))
        yield f"{each.name}: it is in the storage"


def _wait(job: Job, clock: Clock) -> None:
    deadline = clock.monotonic() + START_SECONDS
    while True:
        try:
            _ask(job, "GET", "/api/version")
            return
        except ArrieroError:
            if clock.monotonic() > deadline:
                raise
            clock.sleep(0.2)


def _has(job: Job, each: Seed) -> bool:
    found = _digests(job).get(canonical(each.name))
    return found is not None and each.digest in ("", found)


def _digests(job: Job) -> dict[str, str]:
    models = _ask(job, "GET", "/api/tags")["models"]
    return {canonical(model["name"]): f"sha256:{str(model['digest']).removeprefix('sha256:')}" for model in models}


def _pull(job: Job, each: Seed) -> Iterator[str]:
    done = -1
    for line in _lines(job, {"model": each.pull, "insecure": each.insecure}):
        if "error" in line:
            raise ArrieroError(Problem(f"it can't be pulled: {line['error']}", "see its registry", each.name))
        if line.get("status") == "success":
            return
        if line.get("total"):
            step = STEPS * int(line.get("completed", 0)) // int(line["total"])
            if step != done:
                done = step
                yield f"{each.name}: {line['status']}, {100 * step // STEPS} % of {line['total']} bytes"
    raise ArrieroError(Problem("Ollama ended its answer before the model was there", "see its log", each.name))


def _lines(job: Job, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    connection = http.client.HTTPConnection(*split_address(job.ollama), timeout=SILENCE_SECONDS)
    try:
        connection.request("POST", "/api/pull", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        while line := response.readline():
            yield json.loads(line)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ArrieroError(Problem(f"Ollama's answer broke off: {error}", "see its log", job.ollama)) from error
    finally:
        connection.close()


def _ask(job: Job, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection(*split_address(job.ollama), timeout=SILENCE_SECONDS)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ArrieroError(Problem(f"Ollama does not answer: {error}", "see its log", job.ollama)) from error
    finally:
        connection.close()
    if response.status >= 400:
        said = content.decode(errors="replace")
        raise ArrieroError(Problem(f"Ollama answers {response.status} to {method} {path}: {said}", "", job.ollama))
    return json.loads(content or b"{}")
