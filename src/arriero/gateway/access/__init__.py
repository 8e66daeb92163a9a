"""Who may ask what, and how much: API keys, limits, names and origins, certificates."""
