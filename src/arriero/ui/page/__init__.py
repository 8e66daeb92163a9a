"""The web page of `arriero ui`: a process of its own beside the gateway, in NiceGUI.

It decides nothing of the product: it shows what the gateway and arriero's verbs say, and acts through them. It has to
know who may see and who may act. NiceGUI is imported by the files that draw only (`pieces.py`, `view.py`, `asking.py`,
`chat.py`, `shelves.py`) and by `serving.py`. First: serving.py, then view.py.
"""
