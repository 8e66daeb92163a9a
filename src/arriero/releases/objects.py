"""A store in a bucket or container, through obstore; the only file that imports it.

What leads to another place comes from the environment, as for the SDKs: AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL,
HTTPS_PROXY (obstore reads that itself), REQUESTS_CA_BUNDLE and SSL_CERT_FILE. Credentials are handed in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from arriero.errors import ArrieroError, Problem
from arriero.releases.store import Absent, Conflict, Found, StoreError

CONTAINER = "ledger"
_CONNECT, _WHOLE = timedelta(seconds=3), timedelta(seconds=8)
# A ledger's write is small: what takes longer than this is down, and a deployment must know it within its lease.
_RETRY = {"max_retries": 2, "retry_timeout": timedelta(seconds=12)}
_GONE = ("NoSuchBucket", "ContainerNotFound", "AccountNotFound", "name resolution", "failed to lookup address")

Credentials = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Objects:
    """A store of objects; `inner` is obstore's."""

    name: str
    inner: Any

    def read(self, key: str) -> Found | None:
        import obstore

        with _door():
            try:
                found = obstore.get(self.inner, key)
                return Found(bytes(found.bytes()), found.meta["e_tag"] or "")
            except FileNotFoundError as error:
                if _is_gone(error):
                    raise
                return None

    def create(self, key: str, data: bytes) -> str:
        return self._put(key, data, "create")

    def replace(self, key: str, data: bytes, tag: str) -> str:
        return self._put(key, data, {"e_tag": tag})

    def overwrite(self, key: str, data: bytes) -> None:
        self._put(key, data, "overwrite")

    def names(self, prefix: str = "") -> Sequence[str]:
        import obstore

        with _door():
            pages = obstore.list(self.inner, prefix or None)
            return sorted(found["path"] for page in pages for found in page if found["path"].startswith(prefix))

    def _put(self, key: str, data: bytes, mode: Any) -> str:
        import obstore

        with _door():
            return str(obstore.put(self.inner, key, data, mode=mode, use_multipart=False)["e_tag"])


def in_s3(bucket: str, region: str, credentials: Credentials) -> Objects:
    """The bucket, at AWS or where the environment's endpoint says."""
    from obstore.store import S3Store

    place = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {**_client(), "allow_http": bool(place and place.startswith("http:"))}
    endpoint = {"endpoint": place} if place else {}
    store: Any = S3Store
    made = store(
        bucket,
        region=region,
        client_options=options,
        retry_config=_RETRY,
        credential_provider=credentials,
        **endpoint,
    )
    return Objects("aws", made)


def in_blob(account: str, key: str) -> Objects:
    """The container `ledger` of a storage account, with one of the account's keys."""
    from obstore.store import AzureStore

    store: Any = AzureStore
    made = store(CONTAINER, account_name=account, account_key=key, client_options=_client(), retry_config=_RETRY)
    return Objects("azure", made)


def missing() -> Problem | None:
    """What to tell a user in whose environment obstore is not installed."""
    from importlib.util import find_spec

    if find_spec("obstore"):
        return None
    return Problem("obstore, with which the ledger is kept, is not installed", "run: pip install 'arriero[ledger]'")


def refuse_without() -> None:
    """Raises ArrieroError where obstore is missing."""
    if problem := missing():
        raise ArrieroError(problem)


def _client() -> dict[str, Any]:
    authority = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    trusted = {"root_certificate": Path(authority).read_bytes()} if authority and Path(authority).is_file() else {}
    return {"connect_timeout": _CONNECT, "timeout": _WHOLE, **trusted}


def _is_gone(error: Exception) -> bool:
    return any(sign in str(error) for sign in _GONE)


@contextmanager
def _door() -> Iterator[None]:
    """Lets obstore's errors through as ours. Its texts go on for a page: their first sentence says it."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    try:
        yield
    except (AlreadyExistsError, PreconditionError) as error:
        raise Conflict(_words(error)) from None
    except (BaseError, OSError, TimeoutError) as error:
        raise (Absent if _is_gone(error) else StoreError)(_words(error)) from None


def _words(error: Exception) -> str:
    """The first paragraph, without the debug source that obstore prints after it, and without the answer's XML."""
    text = str(error).split("\n\nDebug source")[0].split(": <?xml")[0]
    return " ".join(text.split())[:240]
