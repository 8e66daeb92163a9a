"""What if: the gateway's and the scaler's own pure files under a given clock, fed by recorded traffic.

Decides nothing that the product decides: it imports `gateway/routing` and `scale`, and only plays what is around them:
the requests (`trace.py`, `demand.py`), the servers (`machine.py`), the cloud (`fleet.py`). Open `play.py` first.
"""
