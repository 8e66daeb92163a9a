"""Drills: a fault that is played on purpose under load, and a verdict on what came of it.

Open `play.py` first: it is one drill from its beginning to its end. `scenario.py` says what is struck, `load.py` asks
as clients do, `verdict.py` counts what they saw and judges, `report.py` writes it down. Nothing here knows how a fault
is played or a gateway reached: that is a `World`, which the command line makes.
"""
