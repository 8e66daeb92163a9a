"""What the clouds sell, as data: sizes, GPUs, regions, dated prices, quotas, what is retired and its successor.

Pure data and look-ups; must not know the spec. Open `catalog.py` first; the figures are in `data/*.json`, each with the
page it comes from and the day it was read.
"""
