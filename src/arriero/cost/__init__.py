"""Money, pure: what a plan will cost. A price without a source is unknown, never guessed and never zero.

Must not know any cloud's API. Open `estimate.py` first; `money.py` is the amount.
"""
