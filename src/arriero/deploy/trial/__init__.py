"""A release on trial beside the one that serves: how it gets traffic, who judges it, and how it goes back.

Open `course.py` first (pure: what to do next), then `judge.py` (pure: is it as good as the other?), `walk.py` (does it)
and `golden.py` (prompts whose answers are known). docs/decisions/0008 says why it is done so.
"""
