"""The door to registries that speak the distribution API: what they hold, and names for it. Logins are Docker's own.

python-dxf speaks the protocol (https://distribution.github.io/distribution/spec/api/); only this module knows it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from arriero.clouds.registry import DOCKER_HUB, is_here, place_of
from arriero.errors import ArrieroError, Problem
from arriero.gateway.words.naming import Place
from arriero.spec.image import ecr_region

_HUB_LOGIN = "https://index.docker.io/v1/"
_TIMEOUT_SECONDS = 60
_EMPTY = b"{}"
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a name stands for: its digest, that of its configuration, and the bytes of everything it names."""

    digest: str
    config: str
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository of one registry: `host/path`."""

    host: str
    path: str
    insecure: bool = False

    @classmethod
    def of(cls, name: str) -> Repository:
        """`acme/llm` is Docker Hub's; one on this machine is asked by plain http, as Docker itself does."""
        host, path = place_of(name)
        return cls(host, path, is_here(host))

    @classmethod
    def of_model(cls, place: Place, insecure: bool) -> Repository:
        return cls(place.host, place.repository, insecure)

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    def find(self, name: str) -> Manifest | None:
        """What a tag or digest stands for; None if there is no such thing. Raises ArrieroError if it can't be asked."""
        import requests

        try:
            text, answer = self._tried(lambda dxf: dxf.get_manifest_and_response(name))
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return None
            raise self._problem(error) from None
        manifest = json.loads(text)
        parts = [*manifest.get("layers", ()), manifest.get("config") or {}]
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        config = (manifest.get("config") or {}).get("digest", "")
        return Manifest(digest, config, sum(part.get("size", 0) for part in parts), text)

    def may_push(self) -> None:
        """Raises ArrieroError where a push would be refused: it tries, with a file of two bytes."""
        import requests

        digest = f"sha256:{hashlib.sha256(_EMPTY).hexdigest()}"
        try:
            self._tried(lambda dxf: dxf.push_blob(data=iter([_EMPTY]), digest=digest, check_exists=False))
        except requests.HTTPError as error:
            raise self._problem(error) from None

    def tag(self, manifest: Manifest, name: str) -> None:
        """Gives what is there another name: nothing is sent but the manifest."""
        import requests

        try:
            self._tried(lambda dxf: dxf.set_manifest(name, manifest.text))
        except requests.HTTPError as error:
            raise self._problem(error, f"{self}:{name}") from None

    def tags(self) -> tuple[str, ...]:
        """All tags; none where the repository is not there yet."""
        import requests

        try:
            found: Any = self._tried(lambda dxf: list(dxf.list_aliases() or ()))
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return ()
            raise self._problem(error) from None
        return tuple(found)

    def _tried(self, ask: Callable[[Any], Answer]) -> Answer:
        import requests

        try:
            import dxf
            from dxf import exceptions
        except ModuleNotFoundError:
            what = "the package python-dxf is not installed"
            raise ArrieroError(Problem(what, "pip install 'arriero[image]'", str(self))) from None
        login = login_for(self.host)

        def authenticate(session: Any, response: Any) -> None:
            session.authenticate(*(login or ()), response=response)

        try:
            with dxf.DXF(
                self.host, self.path, authenticate, insecure=self.insecure, timeout=_TIMEOUT_SECONDS
            ) as session:
                return ask(session)
        except (exceptions.DXFUnauthorizedError, exceptions.DXFAuthInsecureError):
            remedy = f"docker login {self.host}"
            raise ArrieroError(Problem("its registry refuses the login", remedy, str(self))) from None
        except requests.HTTPError:
            raise
        except (requests.RequestException, ValueError) as error:
            what = "its registry does not answer" + (f": {_reason(error)}" if _reason(error) else "")
            raise ArrieroError(Problem(what, "see that it runs and can be reached from here", str(self))) from None

    def _problem(self, error: Any, key: str = "") -> ArrieroError:
        status = error.response.status_code if error.response is not None else 0
        said = (error.response.text or "")[:200].strip() if error.response is not None else ""
        if status in (401, 403):
            problem = Problem("its registry refuses it", f"docker login {self.host}", key or str(self))
        elif status == 404 and (region := ecr_region(self.host)):
            made = f"aws ecr create-repository --region {region} --repository-name {self.path}"
            problem = Problem("there is no such repository in ECR", f"make it: {made}", key or str(self))
        else:
            problem = Problem(f"its registry answered {status}: {said}", "see its log", key or str(self))
        return ArrieroError(problem)


def login_for(host: str) -> tuple[str, str] | None:
    """User and password for a registry, as `docker login` left them: in its file or in a credential helper."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return None
    key = _HUB_LOGIN if host == DOCKER_HUB else host
    helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
    if helper:
        return _from_helper(helper, key)
    text = ((config.get("auths") or {}).get(key) or {}).get("auth", "")
    user, colon, password = base64.b64decode(text).decode(errors="replace").partition(":")
    return (user, password) if colon else None


def _from_helper(helper: str, key: str) -> tuple[str, str] | None:
    """https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol"""
    try:
        ended = subprocess.run(
            [f"docker-credential-{helper}", "get"], input=key, capture_output=True, text=True, check=False, timeout=60
        )
        found = json.loads(ended.stdout)
        return found["Username"], found["Secret"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return None


def _reason(error: Exception) -> str:
    text = str(error)
    known = ("Connection refused", "Name or service not known", "certificate verify failed", "timed out")
    return next((words.lower() for words in known if words in text), "")
