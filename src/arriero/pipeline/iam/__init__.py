"""What a deployer may do on both clouds, as files for an administrator: just what its calls need. See `files.py`."""
