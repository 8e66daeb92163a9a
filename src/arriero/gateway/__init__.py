"""Serving: one asyncio program before many Ollama servers. Open `server.py` first, then follow a request:
server -> dialects -> router -> pool + policy -> target -> forward. `pool policy target` are pure: no awaits, no
clock, no sockets.
"""
