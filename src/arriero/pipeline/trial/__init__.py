"""What can be known before anything is pushed: the spec against policy, the image started as production starts it.

Open `trial.py` first; `container.py` starts the one container, through the door to the engine in `image/engine.py`.
"""
