"""What the clouds sell, as data: sizes, GPUs, regions, dated prices, quotas, what is retired and its successor.

Pure data and look-ups. Open `catalog.py` first; the figures are in `data/*.yaml`, each with the page it was read from.
"""
