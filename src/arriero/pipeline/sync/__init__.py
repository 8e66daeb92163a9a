"""Deploys what a git repository says, when it changes and its signature is one of those allowed.

Open `round.py` first (one look at the repository, and what follows from it), then `repository.py` (the only door to
git) and `report.py` (where the state of a commit is posted).
"""
