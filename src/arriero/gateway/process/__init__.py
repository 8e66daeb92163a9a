"""One gateway in several processes, and over restarts."""
