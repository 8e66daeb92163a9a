"""Who may come in: Ollama's checks of the Host header and of a browser's Origin, and its answers to preflights."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

_LOCAL_ENDINGS = (".localhost", ".local", ".internal")
_LOCAL_ORIGINS = ("localhost", "127.0.0.1", "0.0.0.0")
_APP_SCHEMES = ("app", "file", "tauri", "vscode-webview", "vscode-file")
_HEADERS = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,"
    "X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,"
    "X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,"
    "X-Stainless-Runtime-Version,X-Stainless-Timeout"
)
_VARY = "Origin\nAccess-Control-Request-Method\nAccess-Control-Request-Headers"


def is_host_allowed(header: str, listens_on: str) -> bool:
    """A server on loopback answers only to names that mean this machine, or to addresses that are not public."""
    if not _is_loopback(listens_on):
        return True
    host = urlsplit(f"//{header}").hostname or ""
    if host in ("", "localhost", socket.gethostname().lower()) or host.endswith(_LOCAL_ENDINGS):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


def is_origin_allowed(origin: str, host: str, more: Sequence[str]) -> bool:
    """Whether a page from `origin` may ask; the server's own origin and `more` (OLLAMA_ORIGINS) always may."""
    if not origin or origin == f"http://{host}" or origin in more or "*" in more:
        return True
    found = urlsplit(origin)
    return found.scheme in _APP_SCHEMES or (found.scheme in ("http", "https") and found.hostname in _LOCAL_ORIGINS)


def preflight_headers(origin: str) -> dict[str, str]:
    """Of the 204 to a preflight; several values of one name are parted by newlines."""
    return {
        "Access-Control-Allow-Headers": _HEADERS,
        "Access-Control-Allow-Methods": "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Max-Age": "43200",
        "Vary": _VARY,
    }


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
