"""API keys at rest."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arriero.control.keyring import Keyring, changing
from arriero.control.keys import Key, KeysError, id_of, make_lock, read, write
from arriero.errors import Refused

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def made(name: str = "app", **values: object) -> tuple[str, Key]:
    text, lock = make_lock()
    return text.reveal(), Key(name, (lock,), NOW, **values)  # type: ignore[arg-type]


def test_what_is_written_is_read_again_and_only_its_owner_may(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, full = made(
        models=("llama2",), requests_a_minute=1, tokens_a_minute=2, concurrency=3, spend_a_day=0.5, expires=NOW,
        role="admin",
    )  # fmt: skip
    _, bare = made("other")
    ring = Keyring((full, bare))
    ring.rotate("other", make_lock()[1], NOW, 60)
    write(path, ring.keys)
    assert read(path) == ring.keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_is_found_by_its_id_and_opened_by_its_text_alone(tmp_path: Path) -> None:
    text, key = made()
    lock = key.locks[0]
    assert id_of(text) == lock.id
    assert lock.opens(text)
    assert not lock.opens(text[:-1] + ("A" if text[-1] != "A" else "B"))
    write(tmp_path / "keys.json", [key])
    assert text.split("_", 2)[2] not in (tmp_path / "keys.json").read_text()


@pytest.mark.parametrize("text", ["", "ak_", "ak_000000000000_", "sk-123", "ak_00000000000g_" + "x" * 43, "é" * 59])
def test_what_has_not_the_form_of_a_key_has_no_id(text: str) -> None:
    assert id_of(text) is None


def test_a_rotated_key_keeps_its_former_text_for_the_overlap() -> None:
    _, key = made()
    ring = Keyring((key,))
    first, second = key.locks[0], make_lock()[1]
    ring.rotate("app", second, NOW, 3600)
    assert ring.keys[0].locks == (second, replace(first, until=NOW + timedelta(hours=1)))
    third = make_lock()[1]
    ring.rotate("app", third, NOW + timedelta(hours=2), 0)
    assert ring.keys[0].locks == (third,)


def test_names_are_unique_and_unknown_ones_are_told() -> None:
    ring = Keyring((made()[1],))
    for act in (lambda: ring.add(made()[1]), lambda: ring.revoke("b"), lambda: ring.add(made("a b")[1])):
        with pytest.raises(Refused):
            act()
    ring.revoke("app")
    assert ring.keys == ()


def test_a_change_that_fails_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "keys.json"
    with changing(path) as ring:
        ring.add(made()[1])
    before = path.read_bytes()

    def change_and_fail() -> None:
        with changing(path) as ring:
            ring.revoke("app")
            ring.revoke("app")

    with pytest.raises(Refused):
        change_and_fail()
    assert path.read_bytes() == before


GOOD = {"name": "a", "id": "0" * 12, "salt": "00" * 16, "hash": "00" * 32, "created": NOW.isoformat()}
BAD = [
    ({"keys": 1}, "not a file of keys; make it with: arriero keys add NAME"),
    ({"keys": [1]}, "keys[0]: not a JSON object; write {…}"),
    ({"keys": [{**GOOD, "hash": "00"}]}, "keys[0]: id, salt or hash is missing or wrong; rotate the key"),
    ({"keys": [{**GOOD, "id": "x"}]}, "keys[0]: id, salt or hash is missing or wrong; rotate the key"),
    ({"keys": [{**GOOD, "former": [{}]}]}, "keys[0]: id, salt or hash is missing or wrong; rotate the key"),
    ({"keys": [{**GOOD, "role": "root"}]}, "keys[0].role: 'root' is none of user, viewer, admin; correct it"),
    ({"keys": [{**GOOD, "rols": "user"}]}, "keys[0].rols: unknown key; take it out"),
    (
        {"keys": [{**GOOD, "concurrency": 0}]},
        "keys[0].concurrency: 0 is not a whole number above 0; correct it",
    ),
    ({"keys": [{**GOOD, "spend_a_day": "1"}]}, "keys[0].spend_a_day: '1' is not a number above 0; correct it"),
    ({"keys": [{**GOOD, "models": "llama2"}]}, "keys[0].models: 'llama2' is not a list of models; correct it"),
    (
        {"keys": [{**GOOD, "expires": "2026-01-01"}]},
        "keys[0].expires: '2026-01-01' is not a moment with its zone, like 2026-01-31T12:00:00+00:00; correct it",
    ),
    ({"keys": [GOOD, {**GOOD, "name": "b"}]}, f"keys: {'0' * 12} stands there twice; take one out"),
    ({"keys": [GOOD, {**GOOD, "id": "1" * 12}]}, "keys: a stands there twice; take one out"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_a_bad_file_is_refused_in_exact_words(tmp_path: Path, data: dict[str, object], message: str) -> None:
    path = tmp_path / "keys.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"schema": 1, **data}))
    with pytest.raises(KeysError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: {message}"


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write(path, [made()[1]])
    path.chmod(0o640)
    with pytest.raises(KeysError, match="others may read these keys; chmod 600"):
        read(path)
