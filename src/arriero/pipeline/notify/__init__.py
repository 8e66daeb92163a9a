"""Telling people how a build went: to Slack, and to any webhook.

Open `notice.py` first: what is told (pure). `slack.py` and `webhook.py` are the ways it goes, `tell.py` takes all that
the environment names. No way may fail a build, and nothing told may hold a secret.
"""
