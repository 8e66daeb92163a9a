"""Starts the page: NiceGUI behind our door, one event loop, on one address. The only file that knows the web server.

Who runs: uvicorn's loop with NiceGUI's tasks, `Watch.run`, and threads that ask the gateway and read files. The process
serves nobody's requests for models: what happens to it happens to no stream but that of its own chat box.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from arriero.errors import ArrieroError, Problem
from arriero.gateway.access.sources import Sources
from arriero.ui.page.desk import Desk
from arriero.ui.page.entry import Entry, cookie_of
from arriero.ui.page.login import style

try:
    # It would look for files of this name in the folder that it is started in, and write there.
    os.environ.setdefault("NICEGUI_STORAGE_PATH", os.devnull)
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.responses import FileResponse, PlainTextResponse, Response
    from nicegui import app as pages
    from nicegui import ui
    from nicegui.client import Client

    from arriero.ui.page.view import THEME_COOKIE, View
except ImportError as error:
    raise ArrieroError(Problem(f"the page needs NiceGUI ({error})", "pip install 'arriero[ui]'", "ui")) from None

# How long a browser may be away, and how many messages wait for it meanwhile; after that it loads the page anew, and
# what stood in its fields is lost. A second's message is as large as the fleet.
AWAY_SECONDS, HISTORY = 30.0, 60
# A report may have styles and pictures of its own, and no program, no form, no word to anybody.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def serve(desk: Desk, host: str, port: int, hosts: Iterable[str] = (), trusted: Sources | None = None) -> None:
    """Serves until it is ended by a signal; `trusted` are proxies that say who asks. Raises ArrieroError where the
    address is taken.
    """
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _routes(desk)
    ui.run_with(
        outer, title=f"{desk.service} · arriero", dark=None, language="en-US", favicon="🐎", tailwind=False,
        binding_refresh_interval=None, message_history_length=HISTORY, reconnect_timeout=AWAY_SECONDS,
        show_welcome_message=False,
    )  # fmt: skip
    names = frozenset((*hosts, host))
    door = Entry(outer, desk.doors, desk.service, desk.prefix, names, trusted)
    settings = uvicorn.Config(
        door, host=host, port=port, lifespan="on", access_log=False, log_level="warning", server_header=False,
        ws_per_message_deflate=False, timeout_graceful_shutdown=2, ws_max_size=1_048_576,
        proxy_headers=False,  # by itself it believes whoever is on this machine, and what they pass on of others
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run()


def _routes(desk: Desk) -> None:
    pages.on_startup(desk.watch.run)
    head = f"<style>{style()}</style>"

    @ui.page("/")
    def whole(request: Request, client: Client) -> None:
        ui.add_head_html(head)
        cookie, theme = cookie_of(request.headers.get("cookie", "")), request.cookies.get(THEME_COOKIE, "")
        view = View(desk, client, request.scope["state"]["visitor"], cookie, theme)
        client.on_connect(view.begin)
        client.on_delete(view.end)

    @pages.get("/reports/{name:path}")
    def report(name: str) -> Response:
        found = desk.shelf.find(name)
        if found is None:
            return PlainTextResponse("there is no such report", 404)
        headers = {"content-security-policy": SANDBOX, "cache-control": "no-store"}
        return FileResponse(found.path, media_type=found.kind, headers=headers)
