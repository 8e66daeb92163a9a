"""What a service did in a time, against what it promises: read from gateways' logs, the ledger and the clouds' bills.

The lines of logs: reading.py. What they add up to: totals.py. What went wrong when: incidents.py. All of it as one
value: report.py, which page.py shows as HTML and Markdown.
"""
