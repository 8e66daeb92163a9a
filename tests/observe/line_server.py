"""A program in a sidecar's place: writes so many lines a second for so long to who follows, then goes on living.

Usage: line_server.py SITE LINES_A_SECOND SECONDS; prints its port.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from datetime import UTC, datetime

SITE, RATE, SECONDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
PARTS = 25
# Each breaks off once in the middle: who follows has to come again, and gets what it missed.
BREAK_AT = PARTS * SECONDS // 2

lines: list[bytes] = []
state = {"breaks": 1}
more = threading.Condition()


def write() -> None:
    for part in range(PARTS * SECONDS):
        began = time.monotonic()
        with more:
            for _ in range(RATE // PARTS):
                at = datetime.now(UTC).isoformat(timespec="milliseconds")
                line = {"at": at, "event": "sidecar.request", "boot": SITE, "seq": len(lines) + 1, "status": 200}
                lines.append(json.dumps({**line, "id": f"{SITE}-{part}", "pad": "x" * 120}).encode() + b"\n")
            more.notify_all()
        time.sleep(max(0.0, 1 / PARTS - (time.monotonic() - began)))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        told = 0
        while True:
            with more:
                if len(lines) == told:
                    more.wait(timeout=1)
                batch, told = lines[told:], len(lines)
            self.wfile.write(b"".join(batch) or b"\n")
            if told >= BREAK_AT * (RATE // PARTS) and state["breaks"]:
                state["breaks"] = 0
                return

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
threading.Thread(target=write, daemon=True).start()
server.serve_forever()
