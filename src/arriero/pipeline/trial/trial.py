"""The image just built, started as production starts it: does it serve, drain, and run as nobody of importance?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from arriero.clock import Clock
from arriero.observe.validation.findings import Finding
from arriero.observe.validation.look import Expected, look_at
from arriero.observe.validation.server import NoAnswer, Server
from arriero.observe.validation.sheet import Sheet
from arriero.pipeline.trial import container
from arriero.pipeline.trial.container import Container
from arriero.policy.check import Verdict
from arriero.spec.model import Spec

SPEC, PLACE = "spec", "image"
API = ("/", "/api/version", "/api/tags", "/v1/models")
# Long enough to be under way still when the container is told to stop.
LONG_ANSWER = {"temperature": 0, "seed": 42, "num_predict": 200}
LONG_PROMPT = "Count from one to one hundred in words."


def of_spec(verdict: Verdict) -> tuple[Finding, ...]:
    """What policy says of the spec: what fails the release has failed, the rest is said and passes."""
    told = tuple(
        Finding(SPEC, "", found.rule.id, "failed" if found.fails else "skipped", f"{found.key}: {found.what}")
        for found in verdict.findings
    )
    return told or (Finding(SPEC, "", "policy", "passed", f"{len(verdict.rules)} rules"),)


def of_image(
    spec: Spec, image: str, digests: Mapping[str, str], clock: Clock, *, network: str = ""
) -> tuple[Finding, ...]:
    """What the running image shows; raises ArrieroError where there is no container engine."""
    sheet = Sheet(PLACE)
    with container.running(spec, image, network) as started:
        server = Server(f"http://{started.address}", spec.validation.answer_within)
        if _is_up(sheet, started, server, spec.deploy.ready_within, clock):
            sheet.note("", "user", lambda: _user(started))
            sheet.note("", "API", lambda: _api(server))
            sheet.findings += look_at(spec, server, Expected(digests), PLACE).findings
            sheet.note("", "drain", lambda: _drain(spec, started, server))
    return tuple(sheet.findings)


def _is_up(sheet: Sheet, started: Container, server: Server, within_seconds: float, clock: Clock) -> bool:
    deadline, began = clock.monotonic() + within_seconds, clock.monotonic()
    while True:
        try:
            server.get("/readyz", 2.0)
        except NoAnswer as error:
            is_running = bool(started.about()["State"]["Running"])
            if is_running and clock.monotonic() < deadline:
                clock.sleep(0.2)
                continue
            why = "it does not get ready" if is_running else "it has ended"
            sheet.tell("", "starts", False, f"{why} ({error}); its last lines: {started.last_lines()}")
            return False
        sheet.tell(
            "", "starts", True, f"ready after {clock.monotonic() - began:.1f} s, read-only and without capabilities"
        )
        return True


def _user(started: Container) -> tuple[bool, str]:
    users = started.users()
    return "0" not in users and bool(users), f"its processes run as {', '.join(sorted(users)) or 'nobody'}"


def _api(server: Server) -> tuple[bool, str]:
    for path in API:
        server.get(path)
    return True, f"{', '.join(API)} answer"


def _drain(spec: Spec, started: Container, server: Server) -> tuple[bool, str]:
    """A stream that is under way when the container is told to stop must come to its end, and the container, too."""
    model = spec.models[0].name
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stream") as pool:
        stream = pool.submit(server.chat, model, LONG_PROMPT, LONG_ANSWER, None)
        time.sleep(0.05)
        code = started.stop(spec.deploy.stop_within)
        answer = stream.result()
    return code in (0, 143), f"a stream of {len(answer.text)} characters was ended; exit code {code}"
