"""The emulated Azure of a stage: Entra ID and Resource Manager for unmodified SDKs and Ansible modules.

It decides what Azure answers to a request, and runs a server process for every container of a container group. It must
not know the product (spec, plan, deploy): it judges what is sent. Open `emulator.py` first, then `router.py`, then
`groups.py` (container groups as an API) and `reconciler.py` (container groups as running processes).
"""
