"""Knowing: the state of all sites, their logs, and the discovery that keeps the edge's list of targets true."""
