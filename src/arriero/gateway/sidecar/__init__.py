"""The gateway program beside one Ollama: it counts its slots, refuses what exceeds them, and tells its state.

It knows one server, no keys, no retries, no queue: those are the edges'. Open `main.py` first, then `door.py`.
"""
