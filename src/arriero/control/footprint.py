"""How a request's id gets into Ollama's own log, which tells of each request its time, its path and an address.

Ollama takes the address from X-Forwarded-For, whoever sends it, and writes it down as it came (gin's `ClientIP`; tried
with 0.6.5). So the sidecar says there an address that is made of the id, and whoever reads both logs finds that it is
the same request. It is of fd00::/8, which no machine on the internet has.
"""

from __future__ import annotations

from hashlib import blake2b

HEADER = b"X-Forwarded-For"
_BYTES = 15


def footprint(request_id: str) -> str:
    """The address of 16 bytes for this id, in full: always the same one, and no other id's."""
    digest = blake2b(request_id.encode(errors="surrogatepass"), digest_size=_BYTES).digest()
    return (b"\xfd" + digest).hex(":", 2)
