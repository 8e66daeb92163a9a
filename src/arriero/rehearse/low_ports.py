"""Ports below 1024 on a stage that has no right to open them: what would listen at 443 does so at 10443."""

from __future__ import annotations

import asyncio
import ssl

WITHOUT_RIGHTS = 10_000  # added to the port
_FIRST_OF_EVERYBODY = 1024


async def opened(
    host: str, port: int, tls: ssl.SSLContext | None = None, name: str = "", source: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to what listens there, or instead of that port; over TLS to who has a certificate for `name`, by
    default for the host; from the address `source`, if any. Raises OSError where nobody does.
    """
    called, local = name or None if tls else None, (source, 0) if source else None
    try:
        return await asyncio.open_connection(host, port, ssl=tls, server_hostname=called, local_addr=local)
    except ConnectionRefusedError:
        if port >= _FIRST_OF_EVERYBODY:
            raise
        port += WITHOUT_RIGHTS
        return await asyncio.open_connection(host, port, ssl=tls, server_hostname=called, local_addr=local)
