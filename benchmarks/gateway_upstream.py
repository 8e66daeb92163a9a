"""A cheap server in Ollama's place: `gateway_upstream.py PORT`. One small answer, or a stream of paced tokens."""

from __future__ import annotations

import asyncio
import sys

import uvloop

TOKENS_A_SECOND = 50
MODEL = (
    b'{"models":[{"name":"llama2:latest","model":"llama2:latest","digest":"d","modified_at":"2026-01-01T00:00:00Z"}]}'
)
SMALL = b'{"model":"llama2","created_at":"2026-01-01T00:00:00Z","response":"yes","done":true,"eval_count":1}'
START = b'{"model":"llama2","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"'
TOKEN = START + b' word"},"done":false}\n'
LAST = (
    b'{"model":"llama2","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true}\n'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


ANSWERS = {
    b"/api/tags": _whole(MODEL),
    b"/api/ps": _whole(MODEL),
    b"/api/version": _whole(b'{"version":"0.32.15"}'),
    b"/api/generate": _whole(SMALL),
}
TOKEN_CHUNK, END = _chunk(TOKEN), _chunk(LAST) + b"0\r\n\r\n"


class Server(asyncio.Protocol):
    """Takes each read for one request: its clients send small ones, one at a time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1]
        if path in ANSWERS:
            self.transport.write(ANSWERS[path])
        else:
            self.left = int(data.rpartition(b'"num_predict":')[2].strip(b" }"))
            self.transport.write(HEAD)
            self.next_at = self.loop.time()
            self._token()

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
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
