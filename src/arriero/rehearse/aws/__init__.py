"""The emulated AWS of the stage: moto in this process, with what it lacks added here.

Decides: what ECS does with services and tasks, who may call, what a call costs in time, what survives a restart.
Must not know: Arriero's specs and plans; it sees only what AWS would see. Open `emulator.py` first.
"""
