"""The board: what a Grafana shows of a service, from the figures that gateways and sidecars tell. First: panels.py."""
