"""What a Jenkins needs whole to release the service: a Jenkinsfile, its configuration as code, its plugins, ten steps.

Open `jenkinsfile.py` first. `credentials.py` knows which secret is bound under which name; nothing here holds one.
"""
