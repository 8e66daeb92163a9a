"""How many targets, of which kind, and who goes first.

Decisions are pure: handed `now` and what is known of the load, they return what to do and why. They must not know any
cloud's API, nor the loop that asks them, which is `controller.py` alone. Open `autoscale.py` first.
"""
