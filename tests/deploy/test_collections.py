"""Bringing the collections: all or nothing, byte for byte, once."""

from __future__ import annotations

import base64
import csv
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZipFile

import pytest

from arriero.deploy import collections, stand_ins
from arriero.errors import ArrieroError

IMPORTER = "ansible_collections/azure/azcollection/plugins/module_utils/azure_rm_common.py"
FILES = {
    "ansible_collections/amazon/aws/plugins/modules/s3.py": "s3",
    "ansible_collections/amazon/aws/tests/unit/test_s3.py": "a test",
    "ansible_collections/amazon/aws/changelogs/changelog.yml": "changes",
    "ansible_collections/amazon/aws/COPYING": "licence",
    "ansible_collections/community/aws/meta/runtime.yml": "meta",
    "ansible_collections/cisco/ios/plugins/modules/ios.py": "of no use here",
    IMPORTER: "try:\n    from azure.mgmt.unknown import Client\nexcept ImportError:\n    pass\n",
    "ansible-0.dist-info/METADATA": "Name: ansible",
}


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@dataclass
class Index:
    """A package index with one small wheel; counts what was fetched."""

    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    is_broken: bool = False
    fetched: int = 0

    def __call__(self, _lock: Path, folder: Path) -> Path:
        self.fetched += 1
        path = folder / "ansible-0-py3-none-any.whl"
        record = "".join(f"{name},{digest(text.encode())},{len(text)}\n" for name, text in self.files.items())
        with ZipFile(path, "w") as wheel:
            for name, text in {**self.files, "ansible-0.dist-info/RECORD": record}.items():
                wheel.writestr(name, text)
        if self.is_broken:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "collections.lock"
    path.write_text("ansible==0\n")
    return path


@pytest.fixture
def install(tmp_path: Path, lock: Path) -> Callable[[Index], collections.Report]:
    return lambda index: collections.install(tmp_path / "env", lock=lock, fetch=index)


def check_record(folder: Path) -> int:
    """Compares every file with the wheel's own record; returns how many there were."""
    rows = list(csv.reader((folder / "RECORD").read_text().splitlines()))
    assert [name for name, wanted, _ in rows if digest((folder / name).read_bytes()) != wanted] == []
    return len(rows)


def test_only_what_ansible_needs_of_the_three_collections_is_kept(
    install: Callable[[Index], collections.Report],
) -> None:
    report = install(Index())
    kept = {str(path.relative_to(report.path)) for path in report.path.rglob("*") if path.is_file()}
    assert kept == {
        "ansible_collections/amazon/aws/plugins/modules/s3.py",
        "ansible_collections/amazon/aws/COPYING",
        "ansible_collections/community/aws/meta/runtime.yml",
        IMPORTER,
        "RECORD",
        "installed.json",
    }
    assert check_record(report.path) == 4


def test_nothing_but_the_collections_and_stand_ins_is_left(install: Callable[[Index], collections.Report]) -> None:
    report = install(Index())
    assert sorted(path.name for path in report.path.parent.iterdir()) == ["azure-stand-ins", "collections"]


def test_a_second_call_fetches_nothing(install: Callable[[Index], collections.Report]) -> None:
    index = Index()
    first, second = install(index), install(index)
    assert (first.was_there, second.was_there, index.fetched) == (False, True, 1)
    assert "are installed" in first.sentence
    assert "were there already" in second.sentence


def test_another_lock_brings_other_collections(install: Callable[[Index], collections.Report], lock: Path) -> None:
    install(Index())
    lock.write_text("ansible==1\n")
    newer = Index({**FILES, "ansible_collections/amazon/aws/plugins/modules/s3.py": "newer"})
    report = install(newer)
    assert (report.path / "ansible_collections/amazon/aws/plugins/modules/s3.py").read_text() == "newer"


@pytest.mark.parametrize(
    "index",
    [Index(is_broken=True), Index({k: v for k, v in FILES.items() if "community" not in k})],
    ids=["a broken wheel", "a wheel that lacks a collection"],
)
def test_a_failed_set_up_leaves_the_former_one(
    install: Callable[[Index], collections.Report], lock: Path, index: Index
) -> None:
    former = install(Index()).path
    lock.write_text("ansible==1\n")
    with pytest.raises(ArrieroError):
        install(index)
    assert check_record(former) == 4
    assert sorted(path.name for path in former.parent.iterdir()) == ["azure-stand-ins", "collections"]


def test_what_is_missing_comes_with_the_command_that_brings_it(tmp_path: Path) -> None:
    assert str(collections.missing(tmp_path)) == "the Ansible collections are not installed; run: arriero setup"
    assert collections.missing() is None


def test_the_installed_modules_are_those_of_the_wheel_byte_for_byte() -> None:
    assert check_record(collections.collections_path()) > 700


def test_a_module_in_use_needs_no_other_collection() -> None:
    root = collections.collections_path() / "ansible_collections"
    others = ("ansible_collections.ansible.", "ansible_collections.community.general")
    needing = [p for p in root.rglob("plugins/**/*.py") if any(other in p.read_text() for other in others)]
    assert needing == []


@pytest.mark.wide
def test_pip_brings_what_the_lock_names(tmp_path: Path) -> None:
    report = collections.install(tmp_path)
    assert check_record(report.path) > 700
    assert report.bytes_on_disk < 20e6


@pytest.mark.wide
def test_a_wheel_of_another_hash_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.lock"
    wrong.write_text(f"ansible==12.3.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ArrieroError, match="could not be fetched"):
        collections.install(tmp_path / "env", lock=wrong)
    assert not collections.is_installed(tmp_path / "env", wrong)


def test_a_stand_in_is_searched_for_last_and_says_what_it_is() -> None:
    assert sys.path[-1] == str(stand_ins.folder(Path(sys.prefix)))
