"""The plan as a Terraform module: the second way, for a team that wants to move over without making anything anew.

Open `module.py` first: it puts the files together. `aws.py` and `azure.py` say each resource of the plan in the words
of its provider, `hcl.py` writes those down as `terraform fmt` would. Nothing here asks a cloud: ids come from Facts.
"""
