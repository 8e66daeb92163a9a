"""Whether a release is good: what its servers answer, how fast, and what else they leave open. It looks, and judges.

Open `look.py` first: it asks every target and the gateway. `golden.py` and `speed.py` judge (pure), `ports.py` knocks,
`report.py` writes for CI. It must not know where a baseline is kept, nor who reads its verdict.
"""
