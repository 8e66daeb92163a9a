"""A cheap server in Ollama's place: `gateway_upstream.py PORT`. One small answer, or a stream of paced tokens.

`"num_predict":N` streams N tokens at 50 a second; a negative N sends that many and holds the stream open.
"""

from __future__ import annotations

import asyncio
import re
import sys

import uvloop

TOKENS_A_SECOND = 50
MODEL = (
    b'{"models":[{"name":"llama2:latest","model":"llama2:latest","digest":"d","modified_at":"2026-01-01T00:00:00Z"}]}'
)
SHOWN = (
    b'{"template":"{{ .Prompt }}{{ .Response }}","details":{"family":"llama"},"model_info":{},'
    b'"capabilities":["completion"],"modified_at":"2026-01-01T00:00:00Z"}'
)
SMALL = (
    b'{"model":"llama2","created_at":"2026-01-01T00:00:00Z","response":"yes","done":true,"done_reason":"stop",'
    b'"total_duration":9000000,"prompt_eval_count":5,"eval_count":1}'
)
START = b'{"model":"llama2","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"'
TOKEN = START + b' word"},"done":false}\n'
LONG_TOKEN = START + b" so many words that fifty bytes of text come at once" + b'"},"done":false}\n'
LAST = (
    b'{"model":"llama2","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,'
    b'"done_reason":"stop","total_duration":9000000,"prompt_eval_count":5,"eval_count":300}\n'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_PREDICT = re.compile(rb'"num_predict": ?(-?\d+)')


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


ANSWERS = {
    b"/": _whole(b"Ollama is running"),
    b"/api/tags": _whole(MODEL),
    b"/api/ps": _whole(MODEL),
    b"/api/show": _whole(SHOWN),
    b"/api/version": _whole(b'{"version":"0.32.15"}'),
    b"/api/generate": _whole(SMALL),
}
TOKEN_CHUNK, LONG_CHUNK, END = _chunk(TOKEN), _chunk(LONG_TOKEN), _chunk(LAST) + b"0\r\n\r\n"


class Server(asyncio.Protocol):
    """One request at a time on a connection, as its clients send them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.held = b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        head, end, body = self.held.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or (length and len(body) < int(length[1])):
            return
        self.held = b""
        path = head.split(b" ", 2)[1]
        if path in ANSWERS:
            self.transport.write(ANSWERS[path])
            return
        predict = _PREDICT.search(body)
        self.left = int(predict[1]) if predict else 5
        self.transport.write(HEAD)
        self.next_at = self.loop.time()
        if self.left < 0:
            self._held_token()
        else:
            self._token()

    def _held_token(self) -> None:
        """As many as were asked for, at the usual pace; no end follows."""
        if self.left and not self.transport.is_closing():
            self.left += 1
            self.transport.write(LONG_CHUNK)
            self.next_at += 1 / TOKENS_A_SECOND
            self.loop.call_at(self.next_at, self._held_token)

    def _token(self) -> None:
        if self.transport.is_closing():
            return
        if self.left == 0:
            self.transport.write(END)
            return
        self.left -= 1
        self.transport.write(TOKEN_CHUNK)
        self.next_at += 1 / TOKENS_A_SECOND
        self.loop.call_at(self.next_at, self._token)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
