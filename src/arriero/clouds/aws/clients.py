"""The SDK's clients, one for each service and region, made once: making one costs more than ten calls do."""

from __future__ import annotations

import os
import threading
from typing import Any

import botocore.session
from botocore.config import Config

HOME_REGION = "us-east-1"  # where global services (IAM, STS) are asked, whatever region the user's profile names
ATTEMPTS = 4
_POOL = 16


class Clients:
    """All clients of one environment: its credentials, its endpoints. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Not boto3's: it adds nothing here, and importing it takes a tenth of a second more.
        self._session = botocore.session.Session()
        self._made: dict[tuple[str, str], Any] = {}
        # Standard mode backs off by itself when throttled, and stops after so many attempts.
        retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
        self._config = Config(retries=retries, connect_timeout=5, read_timeout=30, max_pool_connections=_POOL)

    def get(self, service: str, region: str) -> Any:
        """Under a lock: a session's loader is not safe in threads, its clients are."""
        with self._lock:
            if (service, region) not in self._made:
                self._made[service, region] = self._session.create_client(
                    service, region_name=region, config=self._config
                )
            return self._made[service, region]

    def credentials(self) -> Any:
        """botocore's credentials of this environment, which renew themselves; None where there are none."""
        with self._lock:
            return self._session.get_credentials()


_made: dict[frozenset[tuple[str, str]], Clients] = {}
_making = threading.Lock()


def clients() -> Clients:
    """Those of the process's environment as it is now; after `Endpoints.entered()` they are others."""
    key = frozenset((name, value) for name, value in os.environ.items() if name.startswith("AWS_") or name == "HOME")
    with _making:
        if key not in _made:
            _made.clear()  # one environment at a time is in use
            _made[key] = Clients()
        return _made[key]
