"""`python -m arriero.deploy.with_credentials FILE COMMAND…`: becomes COMMAND with the variables of FILE added."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    source, command = sys.argv[1], sys.argv[2:]
    os.environ.update(json.loads(Path(source).read_bytes()))
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
