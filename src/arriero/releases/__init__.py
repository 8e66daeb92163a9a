"""What was shipped, and who may ship: the ledger, its head with the lease, and the journal, in object stores.

Knows stores and records, and no plan, Ansible or command line. Open `record.py` first (what a release is), then
`ledger.py` (reads and writes them in an authority and a replica), `lease.py` (the right to deploy), `journal.py`.
"""
