"""The configuration of an nginx before the gateways, from the spec. Open `files.py` first."""
