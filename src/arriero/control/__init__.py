"""How deploying and serving talk: `messages.py` (what is said), `client.py` (saying it to a running gateway)."""
