"""The real code on a local stage: emulated clouds that start a real server for every task and container.

Open `stage.py` first (start, stop, Endpoints). The emulators judge what is sent; they never help the product.
"""
