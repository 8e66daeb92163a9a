"""Who may ask from a browser: Ollama's own rules for the Host and Origin headers."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0", "::1")
_APP_SCHEMES = ("app", "file", "tauri", "vscode-webview", "vscode-file")
_LOCAL_ENDINGS = (".localhost", ".local", ".internal")
_HEADERS = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,"
    "X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,"
    "X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,"
    "X-Stainless-Runtime-Version,X-Stainless-Timeout"
)


class Origins:
    """Asks of one listener, remembering its answers (a bounded number of them)."""

    def __init__(self, allowed: Collection[str], hosts: Collection[str] = ()) -> None:
        """`allowed`: web origins, or `*`; `hosts`: public names of this server, without ports."""
        self._allowed = frozenset(allowed)
        self._public = frozenset(host.lower() for host in hosts)
        self._hostname = socket.gethostname().lower()
        self._hosts: dict[str, bool] = {}

    def is_our_host(self, host: str) -> bool:
        """A foreign name in Host on a loopback listener is a web page that had its name point here."""
        known = self._hosts.get(host)
        if known is None:
            if len(self._hosts) > 1000:
                self._hosts.clear()
            known = self._hosts[host] = self._is_ours(host)
        return known

    def is_foreign(self, origin: str, host: str | None) -> bool:
        """Does the page come from somewhere else than this server? Only then CORS applies."""
        return bool(origin) and origin not in (f"http://{host}", f"https://{host}")

    def may_ask(self, origin: str) -> bool:
        if origin in self._allowed or "*" in self._allowed:
            return True
        try:
            parts = urlsplit(origin)
            is_local = parts.hostname in _LOCAL_HOSTS
        except ValueError:
            return False
        return parts.scheme in _APP_SCHEMES or (is_local and parts.scheme in ("http", "https"))

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            is_known = name in ("", "localhost", self._hostname) or name in self._public
            return is_known or name.endswith(_LOCAL_ENDINGS)
        return name in self._public or address.is_loopback or address.is_private or address.is_unspecified


def cors_headers(origin: str) -> bytes:
    return b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n" % origin.encode("latin-1")


def preflight_headers() -> bytes:
    """Besides those of `cors_headers`."""
    return (
        f"Access-Control-Allow-Headers: {_HEADERS}\r\n"
        "Access-Control-Allow-Methods: GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS\r\nAccess-Control-Max-Age: 43200\r\n"
        "Vary: Access-Control-Request-Method\r\nVary: Access-Control-Request-Headers\r\n"
    ).encode("latin-1")
