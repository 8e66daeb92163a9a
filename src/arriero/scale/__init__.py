"""How many targets, of which kind, and who goes first: decisions only.

Pure: handed `now` and what is known of the load, they return what to do and why. Must not know any cloud's API, nor the
loop that asks them. Open `autoscale.py` first; `load.py` has the words.
"""
