"""Models that a target has from its site's storage: put there once by a job, laid out before each Ollama starts,
and taken away by a job when no release needs them.
"""
