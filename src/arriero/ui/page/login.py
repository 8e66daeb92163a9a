"""The page that asks for a key: plain HTML, so that nothing of the real one is told to who has none."""

from __future__ import annotations

from html import escape
from importlib import resources


def style() -> str:
    """The style sheet of both pages."""
    return resources.files("arriero.ui.page").joinpath("assets/page.css").read_text(encoding="utf-8")


def page(service: str, problem: str = "") -> str:
    said = f'<p class="bad" role="alert">{escape(problem)}</p>' if problem else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(service)} · arriero</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,"><style>{style()}</style></head>
<body class="asks"><main class="door"><h1>{escape(service)}</h1>
<p>This page needs an API key with the role viewer or admin.</p>{said}
<form method="post"><label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Look</button></form></main></body></html>"""
