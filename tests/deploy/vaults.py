"""Vaults as a user makes them: files encrypted by ansible-vault itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("ansible-vault")


def encrypt(file: Path, text: str, password: str) -> Path:
    """Writes `text` to `file`, encrypted; the password goes through a pipe."""
    file.write_text(text)
    reading, writing = os.pipe()
    os.write(writing, password.encode())
    os.close(writing)
    try:
        subprocess.run(
            [PROGRAM, "encrypt", f"--vault-password-file=/dev/fd/{reading}", file],
            pass_fds=[reading],
            env={**os.environ, "ANSIBLE_HOME": str(file.parent / "ansible")},
            check=True,
            capture_output=True,
        )
    finally:
        os.close(reading)
    return file
