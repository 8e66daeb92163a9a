"""Plain `ansible-playbook` under the lease, with the record that `arriero up` would leave.

Open `book.py` first (what the inventory hands to the first role), then `playbook.py` (what that role does, in Ansible's
worker). `src/arriero/pipeline/keeper.py` is the process that holds the lease beside the playbook.
"""
