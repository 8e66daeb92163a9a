"""A simulated Ollama server: its API byte for byte as recorded, with load times and token pace set by a profile.

It imports the standard library only and little of it, for one process runs per target. Start with `main.py`.
"""
