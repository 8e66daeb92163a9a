"""What is told about a build; pure: from the spec, a validation and what a CI server says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from arriero.deploy.scrub import Scrubber
from arriero.events import Json

Outcome = Literal["success", "failure", "aborted"]
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "success": (":large_green_circle:", "succeeded"),
    "failure": (":red_circle:", "failed"),
    "aborted": (":white_circle:", "was stopped"),
}
# Who set which variable: Jenkins with its git plugin, GitHub Actions, GitLab CI.
COMMITS = ("GIT_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA")
LINKS = ("BUILD_URL", "CI_PIPELINE_URL")
# Slack refuses a block with longer texts.
LONGEST_TEXT, LONGEST_FIELD = 2900, 1900


@dataclass(frozen=True, slots=True)
class Notice:
    """One build of one service. `timings` are lines, one a site."""

    service: str
    outcome: Outcome
    message: str = ""
    release: int | None = None
    commit: str = ""
    sites: tuple[str, ...] = ()
    timings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    link: str = ""

    @property
    def title(self) -> str:
        release = f" release {self.release}" if self.release else ""
        return f"{self.service}{release} {OUTCOMES[self.outcome][1]}"

    def as_json(self) -> dict[str, Json]:
        """The body of a plain webhook, schema 1."""
        return {
            "schema": 1,
            "text": self.title,
            "service": self.service,
            "outcome": self.outcome,
            "message": self.message,
            "release": self.release,
            "commit": self.commit,
            "sites": list(self.sites),
            "timings": list(self.timings),
            "failures": list(self.failures),
            "link": self.link,
        }

    def blocks(self) -> list[dict[str, Any]]:
        """Slack's Block Kit: a header, fields, what failed, and a link."""
        mark, fields = OUTCOMES[self.outcome][0], [("Service", self.service)]
        fields += [("Release", str(self.release))] if self.release else []
        fields += [("Commit", f"`{_plain(self.commit[:12])}`")] if self.commit else []
        fields += [("Sites", _plain(", ".join(self.sites)))] if self.sites else []
        found: list[dict[str, Any]] = [
            {"type": "header", "text": {"type": "plain_text", "text": f"{mark} {self.title}"[:150], "emoji": True}},
            {"type": "section", "fields": [_text(f"*{name}*\n{value}", LONGEST_FIELD) for name, value in fields]},
        ]
        for text in (self.message, "\n".join(self.failures), "\n".join(self.timings)):
            found += [{"type": "section", "text": _text(_plain(text), LONGEST_TEXT)}] if text else []
        if self.link:
            found.append(
                {"type": "context", "elements": [_text(f"<{_plain(self.link)}|Open the build>", LONGEST_TEXT)]}
            )
        return found

    def scrubbed(self, clean: Scrubber) -> Notice:
        """The same without what the scrubber knows, should a message or a link ever hold it."""
        return replace(
            self,
            message=clean(self.message),
            commit=clean(self.commit),
            timings=tuple(map(clean, self.timings)),
            failures=tuple(map(clean, self.failures)),
            link=clean(self.link),
        )


def from_ci(environment: Mapping[str, str]) -> dict[str, str]:
    """The commit and the link that a CI server names in its variables; empty where it names none."""
    link = next((environment[name] for name in LINKS if environment.get(name)), "")
    if not link and environment.get("GITHUB_RUN_ID"):
        at = (environment.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"))
        link = "{}/{}/actions/runs/{}".format(*at)
    return {"commit": next((environment[name] for name in COMMITS if environment.get(name)), ""), "link": link}


def from_validation(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the JSON of `arriero validate` says that is worth telling; raises what a foreign text makes it raise."""
    timings = [
        f"{place}: {model} first token {each['first_token_seconds'] * 1000:.0f} ms, "
        f"{each['tokens_per_second']:.1f} tokens/s"
        for place, models in data["speeds"].items()
        for model, each in models.items()
    ]
    failed = [
        f"✗ {finding['place']} {finding['target']} {finding['check']}: {finding['found']}"
        for finding in data["findings"]
        if finding["verdict"] == "failed"
    ]
    return {"release": data["release"], "timings": tuple(timings), "failures": tuple(failed)}


def _text(text: str, longest: int) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text if len(text) <= longest else text[: longest - 3] + "..."}


def _plain(text: str) -> str:
    """Slack's three control characters, written so that they are shown."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
