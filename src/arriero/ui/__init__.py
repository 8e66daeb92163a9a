"""What people look at for a while, and steer by keys. First: top.py, the terminal's screen."""
