"""The image that every target runs: from the spec to a digest in its registries.

Pure: `recipe.py` (what goes in), `dockerfile.py` and `files.py` (the text of the build), `forecast.py` (how large, how
slow, how dear), `tags.py` (names and how long they live), `gate.py` (what a scan lets pass). Doors, one a program or
wire: `engine.py` (docker), `registry.py`, `trivy.py`, `syft.py`, `hadolint.py`. What a verb does stands in `build.py`,
`push.py`, `scan.py` and `verify.py`. Open `recipe.py` first; nothing here knows a cloud's SDK.
"""
