"""This machine: Ollama servers as plain processes."""
