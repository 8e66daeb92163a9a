"""All the ways that the environment names, each tried whatever became of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from arriero.clock import Clock
from arriero.deploy.scrub import Scrubber
from arriero.pipeline.notify import slack, webhook
from arriero.pipeline.notify.notice import Notice
from arriero.pipeline.notify.webhook import Untold
from arriero.secret import Secret

SLACK_URL, SLACK_TOKEN, WEBHOOK_URL = "SLACK_WEBHOOK_URL", "SLACK_BOT_TOKEN", "ARRIERO_WEBHOOK_URL"


def tell(notice: Notice, channel: str, environment: Mapping[str, str], clock: Clock) -> dict[str, str]:
    """By the name of each way: why nobody was told by it; empty where somebody was. Never raises."""
    # An address that lets anybody post is a secret, although its variable is called a URL.
    secrets = {f"{name}_SECRET": environment[name] for name in (SLACK_URL, WEBHOOK_URL) if environment.get(name)}
    told = notice.scrubbed(Scrubber({**environment, **secrets}))
    return {name: _why(way) for name, way in _ways(told, channel, environment, clock).items()}


def _ways(notice: Notice, channel: str, environment: Mapping[str, str], clock: Clock) -> dict[str, Callable[[], None]]:
    given = {name: Secret(value) for name in (SLACK_URL, SLACK_TOKEN, WEBHOOK_URL) if (value := environment.get(name))}
    ways: dict[str, Callable[[], None]] = {}
    if SLACK_URL in given:
        ways["Slack"] = lambda: slack.by_webhook(notice, given[SLACK_URL])
    elif SLACK_TOKEN in given and channel:
        ways[f"Slack {channel}"] = lambda: slack.by_token(notice, given[SLACK_TOKEN], channel)
    elif SLACK_TOKEN in given:
        ways["Slack"] = _no_channel
    if WEBHOOK_URL in given:
        ways["the webhook"] = lambda: webhook.post(notice, given[WEBHOOK_URL], clock)
    return ways


def _why(way: Callable[[], None]) -> str:
    try:
        way()
    except Untold as error:
        return str(error)
    return ""


def _no_channel() -> None:
    raise Untold(f"{SLACK_TOKEN} needs a channel; set pipeline.slack in the spec, or --channel")
