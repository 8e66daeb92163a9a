"""The arriero that runs here as a wheel, so that the image holds the very program that built it.

Made from the installed files, wherever they came from, in the format of
https://packaging.python.org/en/latest/specifications/binary-distribution-format/ and with one fixed time, so that the
same arriero is the same wheel.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib import metadata, resources
from importlib.resources.abc import Traversable

NAME = "arriero"
_TIME = (2020, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: arriero\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def file_name() -> str:
    return f"{NAME}-{metadata.version(NAME)}-py3-none-any.whl"


def wheel() -> bytes:
    """The wheel's bytes."""
    about = metadata.distribution(NAME)
    info = f"{NAME}-{about.version}.dist-info"
    contents = dict(sorted(_files(resources.files(NAME), NAME)))
    contents[f"{info}/METADATA"] = (about.read_text("METADATA") or "").encode()
    contents[f"{info}/WHEEL"] = _WHEEL.encode()
    contents[f"{info}/entry_points.txt"] = (about.read_text("entry_points.txt") or "").encode()
    rows = [f"{path},sha256={_hash(data)},{len(data)}" for path, data in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,\n"]).encode()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            entry = zipfile.ZipInfo(path, _TIME)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return held.getvalue()


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _files(entry, f"{path}/{entry.name}")
        elif entry.is_file() and not entry.name.endswith(".pyc"):
            yield f"{path}/{entry.name}", entry.read_bytes()


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
