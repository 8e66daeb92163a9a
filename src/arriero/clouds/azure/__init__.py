"""Azure's own nouns. Open `facts.py` first: what a site holds; `variables.py` is the way back, from a plan to the role.

`connection.py` is the only door to Azure Resource Manager and `errors.py` what comes through it as ours; `network.py`
and `groups.py` turn its JSON into the plan's words.
"""
