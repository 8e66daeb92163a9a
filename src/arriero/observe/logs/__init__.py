"""The log lines of all sites as one: from the sidecars at once, from the clouds' stores what those can't tell.

What is a line: entry.py. Which come out, in which order: merging.py, which knows no source and no clock. Where they
come from: sources.py. Who runs while they are followed: following.py.
"""
