"""Asks every target at its own address, then the gateway, and says of each thing whether it is as it should be.

Sites are asked side by side, the targets of one site one after another: they may share a machine, and what is measured
there is their speed. The gateway comes last, when nobody else asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from arriero.errors import Problem
from arriero.observe.validation import golden, ports
from arriero.observe.validation.findings import GATEWAY, Speed, Speeds, Validation
from arriero.observe.validation.server import Server
from arriero.observe.validation.sheet import Sheet
from arriero.observe.validation.speed import compare, typical
from arriero.plan.model import SiteFacts, TargetFacts
from arriero.spec.model import ResolvedSite, Spec
from arriero.spec.validation import Prompt

# The client of a target, by its `host:port`.
Clients = Callable[[str], Server]

PORT = 11434
BEHIND_A_SIDECAR = 11435


@dataclass(frozen=True, slots=True)
class Expected:
    """`digests` of models that were baked, by name, and the `speeds` of the last stable release; empty: not known."""

    digests: Mapping[str, str] = field(default_factory=dict)
    speeds: Speeds = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway as a client meets it. `reached`: the sites of which it says that a target is up; None: not asked."""

    server: Server
    reached: Collection[str] | None = None


def validate(
    spec: Spec,
    found: Mapping[str, SiteFacts],
    gateway: Gateway | Problem | None,
    expected: Expected,
    clients: Clients,
    asleep: Collection[str] = (),
) -> Validation:
    """All findings about the sites in `found`; raises ArrieroError before any request if a tool is missing.

    `gateway` is a Problem where there should be one and none could be had, None where none is asked for. Of sites that
    are `asleep` nothing is asked, and where all are, of the gateway neither.
    """
    golden.check_tools(spec.validation.prompts)
    judges = _Judges(spec, expected)
    with ThreadPoolExecutor(max_workers=max(1, len(found)), thread_name_prefix="validate") as pool:
        sheets = list(pool.map(lambda each: judges.site(each, clients, each.site in asleep), found.values()))
    awake = {name: facts for name, facts in found.items() if name not in asleep}
    if awake:
        sheets.append(judges.gateway(gateway, awake))
    judges.agreement(sheets)
    speeds = {sheet.place: now for sheet in sheets if (now := _typical(sheet))}
    for sheet in sheets:
        judges.speed(sheet, speeds.get(sheet.place, {}))
    releases = [t.release for facts in found.values() for t in facts.targets if t.release]
    return Validation(spec.name, max(releases, default=None), tuple(f for s in sheets for f in s.findings), speeds)


def look_at(spec: Spec, server: Server, expected: Expected, place: str) -> Sheet:
    """What one server must answer wherever it runs: its models, the golden prompts, its figures."""
    sheet, judges = Sheet(place), _Judges(spec, expected)
    judges.answers(sheet, "", server)
    sheet.note("", "metrics", lambda: _metrics(server))
    return sheet


@dataclass(frozen=True, slots=True)
class _Judges:
    spec: Spec
    expected: Expected

    def site(self, facts: SiteFacts, clients: Clients, is_off: bool) -> Sheet:
        sheet, site = Sheet(facts.site), self.spec.site(facts.site)
        if facts.problem:
            sheet.tell("", "health", False, str(facts.problem))
            return sheet
        there = [target for target in facts.targets if target.address and target.state != "stopped"]
        if is_off and not there:
            sheet.skip("", "targets", "asleep in its off hours")
            return sheet
        sheet.tell("", "targets", len(there) >= site.min, f"{len(there)} of at least {site.min} have an address")
        for target in there:
            self._target(sheet, site, target, clients(target.address))
        return sheet

    def gateway(self, gateway: Gateway | Problem | None, found: Mapping[str, SiteFacts]) -> Sheet:
        sheet = Sheet(GATEWAY)
        if gateway is None:
            sheet.skip("", "health", "nobody asked for it")
            return sheet
        if isinstance(gateway, Problem):
            sheet.tell("", "health", False, str(gateway))
            return sheet
        server = gateway.server
        if not sheet.note("", "health", lambda: _health(server, "/readyz")):
            return sheet
        sheet.note("", "models", lambda: self._models(server, Sheet(GATEWAY)))
        for name in found:
            if gateway.reached is None:
                sheet.skip("", f"reaches {name}", "only the machine of the gateway can ask that")
            else:
                is_up = name in gateway.reached
                sheet.tell("", f"reaches {name}", is_up, "a target is up" if is_up else "no target is up")
        self._prompts(sheet, "", server)
        sheet.note("", "metrics", lambda: _metrics(server))
        return sheet

    def agreement(self, sheets: list[Sheet]) -> None:
        """Where nobody knows which digest was baked, all targets must at least have the same."""
        for model in self.spec.models:
            seen = {digest for sheet in sheets for digest in sheet.digests.get(model.name, ())}
            if model.name not in self.expected.digests and len(seen) > 1:
                said = ", ".join(sorted(digest[:12] for digest in seen))
                sheets[-1].tell("", f"digest of {model.name}", False, f"targets differ: {said}")

    def speed(self, sheet: Sheet, now: Mapping[str, Speed]) -> None:
        before = self.expected.speeds.get(sheet.place, {})
        for model, speed in now.items():
            check, said = f"speed of {model}", f"first token {speed.first_token_seconds * 1000:.0f} ms"
            if model in before:
                sheet.tell("", check, *compare(speed, before[model], self.spec.validation.tolerance))
            else:
                sheet.skip(
                    "", check, f"{said}, {speed.tokens_per_second:.1f} tokens/s; no stable release to compare with"
                )

    def _target(self, sheet: Sheet, site: ResolvedSite, target: TargetFacts, server: Server) -> None:
        has_sidecar = site.sidecar and not target.is_adopted
        if not sheet.note(target.id, "health", lambda: _health(server, "/readyz" if has_sidecar else "/")):
            return
        self.answers(sheet, target.id, server)
        if has_sidecar:
            sheet.note(target.id, "metrics", lambda: _metrics(server))
        else:
            sheet.skip(target.id, "metrics", "Ollama alone tells none")
        if target.is_adopted:
            sheet.skip(target.id, "ports", "its machine is not ours")
        else:
            sheet.note(target.id, "ports", lambda: _ports(server.host, has_sidecar))

    def answers(self, sheet: Sheet, target: str, server: Server) -> None:
        sheet.note(target, "models", lambda: self._models(server, sheet))
        self._prompts(sheet, target, server)

    def _models(self, server: Server, sheet: Sheet) -> tuple[bool, str]:
        has = server.digests()
        faults, said = [], []
        for model in self.spec.models:
            digest, baked = has.get(model.name, ""), self.expected.digests.get(model.name)
            if not digest:
                faults.append(f"{model.name} is missing")
                continue
            sheet.digests.setdefault(model.name, set()).add(digest.removeprefix("sha256:"))
            said.append(f"{model.name} {digest.removeprefix('sha256:')[:12]}")
            if baked and digest.removeprefix("sha256:") != baked.removeprefix("sha256:"):
                faults.append(f"{model.name} is {digest[:19]}, and {baked[:19]} was baked")
        return not faults, "; ".join(faults or said)

    def _prompts(self, sheet: Sheet, target: str, server: Server) -> None:
        loaded = ""
        for model, prompt in golden.prompts_of(self.spec):
            check = f"{model}: {prompt.title}"
            sheet.note(target, check, partial(self._answer, sheet, server, model, prompt, loaded))
            loaded = model

    def _answer(self, sheet: Sheet, server: Server, model: str, prompt: Prompt, loaded: str) -> tuple[bool, str]:
        if prompt is golden.HELLO and not server.can_chat(model):
            vector = server.embed(model, prompt.prompt)
            return bool(vector), f"an embedding of {len(vector)} numbers"
        if loaded != model:
            server.load(model)
        answer = server.chat(model, prompt.prompt, self._options, prompt.answer_schema)
        sheet.measured.setdefault(model, []).append(answer.speed)
        return golden.judge(prompt, answer.text, self._similarity(server, model, prompt, answer.text))

    @property
    def _options(self) -> dict[str, Any]:
        wanted = self.spec.validation
        return {"temperature": 0, "seed": wanted.seed, "num_predict": wanted.max_tokens}

    def _similarity(self, server: Server, model: str, prompt: Prompt, text: str) -> float | None:
        if prompt.like is None or not text.strip():
            return None
        embedder = prompt.embedded_by or model
        return golden.cosine(server.embed(embedder, text), server.embed(embedder, prompt.like))


def _health(server: Server, path: str) -> tuple[bool, str]:
    server.get(path)
    return True, f"{path} answers"


def _metrics(server: Server) -> tuple[bool, str]:
    samples = [line for line in server.get("/metrics").decode(errors="replace").splitlines() if line[:1].isalpha()]
    return bool(samples), f"{len(samples)} figures"


def _ports(host: str, has_sidecar: bool) -> tuple[bool, str]:
    """On this machine a target has no network of its own, so that Ollama behind the sidecar can be reached, too."""
    right = {PORT, BEHIND_A_SIDECAR} if has_sidecar and host.startswith("127.") else {PORT}
    found = ports.opened(host)
    wrong = [str(port) for port in found if port not in right]
    if PORT not in found:
        return False, f"{PORT} is closed"
    return not wrong, f"open besides {PORT}: {', '.join(wrong)}" if wrong else f"{PORT} alone is open"


def _typical(sheet: Sheet) -> dict[str, Speed]:
    return {model: now for model, measured in sheet.measured.items() if (now := typical(measured))}


def reached(targets: Collection[Any]) -> frozenset[str]:
    """The sites of the targets that a gateway says are up."""
    return frozenset(target.site for target in targets if target.state == "up")
