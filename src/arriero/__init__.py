"""Arriero: Ollama on AWS ECS Fargate, Azure Container Instances and your own machine, from one file.

Open first: `cli/main.py` for the commands, `plan/model.py` for the words, ARCHITECTURE.md for the walks.
"""

__version__ = "0.1.0"
