"""Each cloud's own nouns: `facts.py` reads the world through the cloud's SDK, `variables.py` a role's variables.

`endpoints.py` says where the clouds' APIs are. Nothing here decides what should be: that is `plan/`.
"""
