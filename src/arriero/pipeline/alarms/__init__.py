"""Alarms in the clouds' own words, over what they measure themselves: for whoever is called by them.

Open `files.py` first; `cloudwatch.py` and `azure.py` say what is watched at a site of each cloud. Prometheus's alerts
(`arriero export prometheus`) know far more: the clouds see processors and memory, not requests.
"""
