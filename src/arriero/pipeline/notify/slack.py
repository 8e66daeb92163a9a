"""Slack, by its own SDK: an incoming webhook, or a bot's token and a channel. The one place that knows `slack_sdk`."""

from __future__ import annotations

from typing import Any

from arriero.pipeline.notify.notice import Notice
from arriero.pipeline.notify.webhook import TRIES, Untold
from arriero.secret import Secret

TIMEOUT_SECONDS = 10
API = "https://slack.com/api/"


def by_webhook(notice: Notice, url: Secret) -> None:
    """Raises Untold, which never holds the URL: whoever has it may post."""
    try:
        from slack_sdk.webhook import WebhookClient
    except ImportError:
        raise Untold(_MISSING) from None
    try:
        client = WebhookClient(url.reveal(), timeout=TIMEOUT_SECONDS, retry_handlers=_retries())
        answer = client.send(text=notice.title, blocks=notice.blocks())
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold the URL
        raise Untold(f"Slack could not be reached: {type(error).__name__}") from None
    if answer.status_code != 200:
        raise Untold(f"Slack answered {answer.status_code}: {answer.body[:80]}")


def by_token(notice: Notice, token: Secret, channel: str, api: str = API) -> None:
    """Raises Untold."""
    try:
        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError
    except ImportError:
        raise Untold(_MISSING) from None
    client = WebClient(token.reveal(), base_url=api, timeout=TIMEOUT_SECONDS, retry_handlers=_retries())
    try:
        client.chat_postMessage(channel=channel, text=notice.title, blocks=notice.blocks())
    except SlackApiError as error:
        raise Untold(f"Slack said no: {error.response.get('error', 'no reason')}") from None
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold the token
        raise Untold(f"Slack could not be reached: {type(error).__name__}") from None


_MISSING = "slack_sdk is not installed; pip install 'arriero[pipeline]'"


def _retries() -> list[Any]:
    from slack_sdk.http_retry.builtin_handlers import (
        ConnectionErrorRetryHandler,
        RateLimitErrorRetryHandler,
        ServerErrorRetryHandler,
    )

    handlers = (ConnectionErrorRetryHandler, RateLimitErrorRetryHandler, ServerErrorRetryHandler)
    return [handler(max_retry_count=TRIES - 1) for handler in handlers]
