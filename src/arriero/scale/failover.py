"""When a site's role goes to its partner, and when it comes back. Pure.

Requests need none of it: each gateway sends them where somebody answers. What is decided here is slower on purpose. A
site is lost when none of its targets answered the gateway for `after`; ten steady seconds end such a time, a single
answer does not. After any change of roles, whoever made it, nothing is changed for `quiet`, counted by the own clock
from when the change was seen. Whoever sees no site answer, as behind a cut line, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from arriero.spec.model import Role

# Who comes back must answer for so long before its loss is over.
STEADY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Policy:
    """In seconds; `back_after` None: roles come back by hand only."""

    after: float = 30.0
    quiet: float = 900.0
    back_after: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """A site as one gateway sees it: so many of its targets answer, of so many that are listed, and `least` should run.

    One that `is_off` sleeps by its hours: that is no loss.
    """

    answers: int = 0
    listed: int = 0
    least: int = 1
    is_off: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """A pair: the roles of now and those that are written, what the gateway sees, and the turn of the newest order."""

    sites: tuple[str, str]
    roles: Mapping[str, Role]
    written: Mapping[str, Role]
    health: Mapping[str, Health]
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """What one controller remembers of a pair: since when it knows the turn, who was silent or answered since when."""

    turn: int | None = None
    turn_since: float = 0.0
    silent: Mapping[str, float] = field(default_factory=dict)
    answering: Mapping[str, float] = field(default_factory=dict)
    met: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """The pair's roles as they should be; none where nothing is to be changed. `why` says what was seen, or is waited
    for.
    """

    past: Past
    roles: Mapping[str, Role] = field(default_factory=dict)
    why: str = ""


def decide(now: float, past: Past, view: View, policy: Policy) -> Decision:
    past = _looked(now, past, view)
    for site in view.sites:
        heir = view.sites[1] if site == view.sites[0] else view.sites[0]
        if view.roles[site] != "active" or view.roles[heir] != "standby":
            continue
        silent = now - past.silent.get(site, now)
        if _is_lost(site, silent, past, view, policy):
            return _taken_over(now, past, view, policy, site, heir, silent)
        if policy.back_after is not None and view.written[heir] == "active":
            return _given_back(now, past, view, policy, heir)
    return Decision(past)


def _is_lost(site: str, silent: float, past: Past, view: View, policy: Policy) -> bool:
    health = view.health[site]
    is_known = health.listed > 0 or site in past.met
    return not health.is_off and is_known and health.answers == 0 and silent >= policy.after


def _taken_over(now: float, past: Past, view: View, policy: Policy, site: str, heir: str, silent: float) -> Decision:
    seen = f"no target of {site} has answered for {silent:.0f} s"
    health = view.health[heir]
    if health.is_off:
        return Decision(past, why=f"{seen}, and {heir} sleeps")
    if not health.answers and health.least > 0:
        return Decision(past, why=f"{seen}, and none of {heir} answers either")
    if wait := _quiet(now, past, policy):
        return Decision(past, why=f"{seen}; roles were changed a short while ago, so they stay for {wait:.0f} s more")
    return Decision(past, {site: "standby", heir: "active"}, seen)


def _given_back(now: float, past: Past, view: View, policy: Policy, home: str) -> Decision:
    """`home` was lost, and is back."""
    assert policy.back_after is not None
    health, since = view.health[home], past.answering.get(home)
    is_whole = health.answers >= max(1, health.least) and not health.is_off
    if since is None or not is_whole or now - since < policy.back_after or _quiet(now, past, policy):
        return Decision(past)
    return Decision(past, dict(view.written), f"{home} has answered again for {now - since:.0f} s")


def _quiet(now: float, past: Past, policy: Policy) -> float:
    """How long nothing may be changed yet; an order that never was keeps nobody waiting."""
    return max(0.0, past.turn_since + policy.quiet - now) if past.turn else 0.0


def _looked(now: float, past: Past, view: View) -> Past:
    """The past with what is seen now."""
    turn, since = (past.turn, past.turn_since) if past.turn == view.turn else (view.turn, now)
    silent, answering, met = dict(past.silent), dict(past.answering), set(past.met)
    for site in view.sites:
        if view.health[site].answers:
            met.add(site)
            answering.setdefault(site, now)
            if now - answering[site] >= STEADY_SECONDS:
                silent.pop(site, None)
        else:
            answering.pop(site, None)
            silent.setdefault(site, now)
    return Past(turn, since, silent, answering, frozenset(met))
