"""Serving: one asyncio program before many Ollama servers. Open `server.py` first, then follow a request:
connection -> router -> paths + dialects -> pool + policy -> target -> forward -> upstream -> stream. Pure, that is
without awaits, clock and sockets, are `pool policy target stream dialects paths listing headers naming request`.
Several processes that count as one: `main.py`, then crew, lanes, together, succession.
"""
