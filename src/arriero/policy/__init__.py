"""Whether a service may be as it is: rules over the spec and the facts, each with its reason and its remedy.

Pure but for `users.py`, which imports the user's own rules, and `evidence.py`, which reads a scan's report. Open
`rule.py` first (the words), then `findings.py` (the one call), then `builtin/` (a file a subject). `reach.py` says who
may reach which port, through what.
"""
