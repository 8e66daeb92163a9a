"""What survives a restart: a snapshot of moto's backends in `aws.state`, written soon after every change.

The file is a JSON line (format, versions, checksum) and a pickle, sealed: what Secrets Manager and SSM keep stands in
no file of the stage in clear. Backends refer to each other; in the pickle such a reference is a name. What every fresh
backend has anyway is a name, too (AWS's own policies and images), or left out (disks of its images). A file that does
not fit is an error with its remedy; it is never half-loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import moto
import moto.backends
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from moto.core.base_backend import BackendDict, BaseBackend
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.iam.models import AWSManagedPolicy
from moto.ssm.models import ParameterDict

from arriero.errors import ArrieroError, Problem

_FORMAT = 3
_NONCE_BYTES = 12
_ACCOUNT = "123456789012"
_AWS = "amazon"
_RESTS = 5
_REMEDY = "run `arriero rehearse reset` to start with an empty stage"


class Snapshots:
    """Keeps the world in `file`. `world` is the lock under which everything changes."""

    def __init__(self, file: Path, world: threading.RLock) -> None:
        self._file = file
        self._world = world
        self._seal = AESGCM(_key(file.with_suffix(".seal")))

    def save(self) -> None:
        with self._world:
            content = _pickled()
        nonce = os.urandom(_NONCE_BYTES)
        content = nonce + self._seal.encrypt(nonce, content, None)
        head = {"format": _FORMAT, "moto": moto.__version__, "sha256": hashlib.sha256(content).hexdigest()}
        fresh = self._file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(json.dumps(head).encode() + b"\n" + content)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file)

    def load(self) -> bool:
        """Puts the saved world in place of the present one; False when there is none."""
        with self._world:
            _forget()
            if not self._file.exists():
                return False
            content = self._checked(self._file.read_bytes())
            try:
                _restore(self._seal.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], None))
            except Exception as error:  # a pickle may raise anything
                _forget()
                raise self._unusable(f"cannot be restored ({type(error).__name__}: {error})") from error
            return True

    def _checked(self, content: bytes) -> bytes:
        first, _, rest = content.partition(b"\n")
        try:
            head = json.loads(first)
            version, library, checksum = head["format"], head["moto"], head["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._unusable("is damaged") from error
        if version != _FORMAT or library != moto.__version__:
            raise self._unusable(f"was written by another version (format {version}, moto {library})")
        if hashlib.sha256(rest).hexdigest() != checksum:
            raise self._unusable("is damaged")
        return rest

    def _unusable(self, what: str) -> ArrieroError:
        return ArrieroError(Problem(f"the saved state of the stage's AWS {what}", _REMEDY, file=str(self._file)))


def _key(file: Path) -> bytes:
    """The stage's own, made when it is first asked for."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as fresh:
            fresh.write(AESGCM.generate_key(256))
    except FileExistsError:
        pass
    return file.read_bytes()


class Keeper:
    """A thread that saves soon after `mark`, many marks in one; `stop` saves what is left.

    Soon is `delay_seconds`, and after a save at least five times what it took: a stage that holds much, and changes all
    the time, has its processor for other things.
    """

    def __init__(self, snapshots: Snapshots, delay_seconds: float = 0.2) -> None:
        self._snapshots = snapshots
        self._delay = delay_seconds
        self._marked = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper of the emulated AWS", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def mark(self) -> None:
        self._marked.set()

    def stop(self) -> None:
        self._ending.set()
        self._marked.set()
        self._thread.join()
        self._snapshots.save()

    def _run(self) -> None:
        rest = self._delay
        while not self._ending.is_set():
            self._marked.wait()
            self._ending.wait(rest)
            self._marked.clear()
            if not self._ending.is_set():
                start = time.thread_time()
                self._snapshots.save()
                rest = max(self._delay, _RESTS * (time.thread_time() - start))


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, names: dict[int, tuple[str, str]]) -> None:
        super().__init__(out, protocol=5)
        self._names = names

    def persistent_id(self, item: Any) -> Any:
        if isinstance(item, BaseBackend):
            name = self._names.get(id(item))
            return None if name is None else ("backend", *name)
        if isinstance(item, AWSManagedPolicy):
            return ("policy", item.arn)
        if isinstance(item, Ami) and item.owner_alias == _AWS:
            return ("image", item.ec2_backend.region_name, item.id)
        return None

    def reducer_override(self, item: Any) -> Any:
        """The key that EC2 takes for encrypted disks is made anew: nothing here is encrypted by it. Of SSM's parameters
        those are kept that are not AWS's own, which every fresh backend reads when it is asked.
        """
        if isinstance(item, rsa.RSAPrivateKey):
            return rsa.generate_private_key, (65537, item.key_size)
        if isinstance(item, ParameterDict):
            own = [(name, versions) for name, versions in item.items() if not name.startswith("/aws/service/")]
            return ParameterDict, (item.account_id, item.region_name), None, None, iter(own)
        return (threading.RLock, ()) if isinstance(item, _LOCKS) else NotImplemented


class _Unpickler(pickle.Unpickler):
    """Resolves the names against fresh backends, before their contents are replaced."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._policies = {policy.arn: policy for policy in _backend("iam", "aws").aws_managed_policies}
        self._images: dict[str, dict[str, Ami]] = {}

    def persistent_load(self, name: Any) -> Any:
        kind, *rest = name
        if kind == "backend":
            return _backend(*rest)
        if kind == "policy":
            return self._policies[rest[0]]
        region, image = rest
        if region not in self._images:
            self._images[region] = dict(_backend("ec2", region).amis)
        return self._images[region][image]


_LOCKS = (type(threading.RLock()), type(threading.Lock()))


def _pickled() -> bytes:
    names = _names()
    out = io.BytesIO()
    _Pickler(out, names).dump({name: _kept(_backend(*name)) for name in names.values()})
    return out.getvalue()


def _kept(backend: BaseBackend) -> dict[str, Any]:
    if not isinstance(backend, EC2Backend):
        return backend.__dict__
    return {**backend.__dict__, "snapshots": {each.id: each for each in _disks(backend, are_own=False)}}


def _disks(backend: EC2Backend, are_own: bool) -> Iterable[Snapshot]:
    """Snapshots of disks: those of AWS's own images, which moto makes anew with each backend, or all others."""
    own = {image.id for image in backend.amis.values() if image.owner_alias == _AWS}
    return (each for each in backend.snapshots.values() if (each.from_ami in own) is are_own)


def _forget() -> None:
    """Moto's own reset fills each backend anew before it lets it go; IAM's alone takes a second for that."""
    for backends in BackendDict._instances:  # type: ignore[misc]
        backends.clear()
    BackendDict._instances.clear()  # type: ignore[misc]


def _restore(content: bytes) -> None:
    for name, attributes in _Unpickler(content).load().items():
        backend = _backend(*name)
        if isinstance(backend, EC2Backend):
            own = {each.id: each for each in _disks(backend, are_own=True)}
            attributes["snapshots"] = {**own, **attributes["snapshots"]}
        backend.__dict__.clear()
        backend.__dict__.update(attributes)
    for role in _backend("iam", "aws").roles.values():
        for policy in role.managed_policies.values():
            policy.attachment_count += isinstance(policy, AWSManagedPolicy)


def _backend(service: str, region: str) -> Any:
    of_service: Any = moto.backends.get_backend
    return of_service(service)[_ACCOUNT][region]


def _names() -> dict[int, tuple[str, str]]:
    """The backends in use, of the one account, by identity."""
    found = {}
    every: Any = BackendDict
    for service in list(every._instances):
        for account, region, backend in service.iter_backends():
            if account == _ACCOUNT and not region.startswith("aws-"):
                found[id(backend)] = (service.service_name, region)
    return found
