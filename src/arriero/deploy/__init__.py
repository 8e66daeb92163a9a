"""Doing it with Ansible: from a Plan to an outcome.

Open `engine.py` first (it walks a plan), then `workspace.py` (writes a run's private data directory), `runner.py` (the
only door to ansible_runner), `edge.py` (the local gateway) and `ansible/` (the collection arriero.fleet).
"""
