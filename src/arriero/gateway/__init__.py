"""Serving: one asyncio program before many Ollama servers. Open `server.py` first, then follow a request:
connection -> router -> paths + dialects -> pool + policy -> target -> forward -> upstream -> stream. `pool policy target
stream dialects paths listing headers naming request` are pure: no awaits, no clock, no sockets.
"""
