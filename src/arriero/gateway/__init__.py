"""Serving: one asyncio program before many Ollama servers. Open `server.py` first, then follow a request:
wire.connection -> relay.router -> words.paths -> access.entrance -> routing.pool -> relay.forward -> wire.upstream ->
relay.reply -> wire.connection. `routing/` and `words/` are pure: no awaits, no clock of their own, no sockets, so that
a simulator can run the very same files. `sidecar/` is the same program beside one Ollama; `process/` makes several
processes one gateway.
"""
