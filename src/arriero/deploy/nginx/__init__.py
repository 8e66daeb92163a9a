"""The nginx on this machine, before the gateways: what it is to be, whether it is that, and how it comes to be.

It knows nothing of what its configuration says: whoever calls hands that in as text. Open `here.py` first.
"""
