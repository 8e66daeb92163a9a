"""What CI and operators take away: files made from the spec, the same each time, with no secret in them.

Open `export.py` first: it knows all kinds. A kind is a module with `files(spec)`; it decides what is in its files, and
must not know where they go.
"""
