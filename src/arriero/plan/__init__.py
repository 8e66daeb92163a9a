"""What must be done: (Spec, Facts) -> Plan, and nothing else.

Pure: no cloud, no clock, no file. Open `model.py` first (the words), then `wanted/` (what each site should hold),
`compare.py` (differences, each with its reason) and `order.py` (steps and their sequence).
"""
