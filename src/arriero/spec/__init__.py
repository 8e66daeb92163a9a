"""What you want: the user's file, checked.

Decides what may be written and what the defaults are; must not know any cloud's API. Open `model.py` first, then
`load.py` (YAML to Spec, every value with its file and line) and `check.py` (rules between sections).
"""
