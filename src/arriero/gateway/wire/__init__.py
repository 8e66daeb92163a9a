"""Bytes on connections: clients' and targets', their headers, TLS."""
