"""One server that is asked: a target at its own address, or the gateway."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arriero.observe.asking import NO_KEY, connect
from arriero.observe.validation.findings import Speed
from arriero.secret import Secret

# Fewer tokens than these say little of a server's pace.
TOKENS_THAT_TELL = 8


class NoAnswer(Exception):
    """The server did not say what it should; the text tells what it did instead."""


class _Busy(NoAnswer):
    """It takes no request just now, and says after how many `seconds` to come back."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    speed: Speed


@dataclass(frozen=True, slots=True)
class Server:
    """`url` is `http(s)://host:port`; every method raises NoAnswer.

    One that is busy with others' requests and says when to come back is asked again for `within_seconds`: full slots
    under load are no fault of what it serves.
    """

    url: str
    within_seconds: float
    key: Secret = NO_KEY
    certificate: Path | None = None
    wait: Callable[[float], None] = time.sleep

    @property
    def host(self) -> str:
        return self.url.rpartition("/")[2].rpartition(":")[0]

    def get(self, path: str, within_seconds: float = 5.0) -> bytes:
        """The body of a 200; any other status is no answer."""
        connection = connect(self.url, self.certificate, within_seconds)
        try:
            connection.request("GET", path, headers=self._headers())
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{path}: {error or type(error).__name__}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise NoAnswer(f"{path} answered {response.status}")
        return body

    def digests(self) -> dict[str, str]:
        """The digest of each model that is there, by its name."""
        try:
            return {str(m["name"]): str(m["digest"]) for m in json.loads(self.get("/api/tags"))["models"]}
        except (ValueError, KeyError, TypeError):
            raise NoAnswer("/api/tags did not answer as Ollama does") from None

    def can_chat(self, model: str) -> bool:
        """False for a model that makes embeddings only. Servers too old to say are taken to chat."""
        can = self._ask("/api/show", {"model": model}).get("capabilities") or ["completion"]
        return "completion" in can

    def load(self, model: str) -> None:
        """Has the model in memory, so that what is measured next is no load."""
        self._ask("/api/generate", {"model": model})

    def embed(self, model: str, text: str) -> list[float]:
        try:
            return [float(each) for each in self._ask("/api/embed", {"model": model, "input": text})["embeddings"][0]]
        except (KeyError, IndexError, TypeError, ValueError):
            raise NoAnswer("/api/embed gave no embedding") from None

    def chat(self, model: str, prompt: str, options: Mapping[str, Any], form: Mapping[str, Any] | None) -> Answer:
        """A whole answer; the first token's time is this side's, the pace is the server's own count."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "options": dict(options)}
        started, first, parts = time.perf_counter(), 0.0, []
        line: dict[str, Any] = {}
        for line in self._lines("/api/chat", {**body, **({"format": form} if form is not None else {})}):
            content = (line.get("message") or {}).get("content", "")
            if content and not first:
                first = time.perf_counter() - started
            parts.append(content)
        if not line.get("done"):
            raise NoAnswer("the answer ended before it was complete")
        return Answer("".join(parts), Speed(first or time.perf_counter() - started, _pace(line)))

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The one JSON object that is answered."""
        found = list(self._lines(path, {**body, "stream": False}))
        return found[-1] if found else {}

    def _lines(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        left = self.within_seconds
        while True:
            try:
                return (yield from self._lines_once(path, body))
            except _Busy as busy:
                if busy.seconds > left:
                    raise
                left -= busy.seconds
                self.wait(busy.seconds)

    def _lines_once(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        connection = connect(self.url, self.certificate, self.within_seconds)
        try:
            connection.request("POST", path, json.dumps(body), self._headers())
            response = connection.getresponse()
            for raw in response:
                line = json.loads(raw)
                if "error" in line:
                    what = f"{path} answered {response.status}: {line['error']}"
                    again = response.headers.get("Retry-After", "")
                    raise _Busy(what, max(1.0, float(again))) if again.isdigit() else NoAnswer(what)
                yield line
        except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
            raise NoAnswer(f"{path}: {error or type(error).__name__}") from None
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        given = {"Authorization": f"Bearer {self.key.reveal()}"} if self.key != NO_KEY else {}
        return {"Content-Type": "application/json", **given}


def _pace(last: Mapping[str, Any]) -> float:
    count, nanoseconds = int(last.get("eval_count", 0)), int(last.get("eval_duration", 0))
    return count / nanoseconds * 1e9 if count >= TOKENS_THAT_TELL and nanoseconds else 0.0
