"""All sites' log lines, sent to a Loki or an OTLP receiver as they come.

What is told of a line: line.py. What waits, within bounds: waiting.py. How it is written down: loki.py, otlp.py.
Sending it once: post.py, headers.py. When, and what becomes of it: shipper.py. Who runs: running.py; open that first.
"""
