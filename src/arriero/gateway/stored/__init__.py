"""Models that a target has from its site's storage: put there once by a job, laid out before each Ollama starts."""
