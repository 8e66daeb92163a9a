"""The gateway in a container of its own, before targets that it finds by name: `arriero gateway edge`.

It takes its settings and its keys from its environment, so that a container needs no file. Open `main.py`.
"""
