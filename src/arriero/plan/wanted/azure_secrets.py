"""Secrets of container groups by reference: which version of each a group has, and whether that is the one to have.

Container Instances takes a value when a group is made, and never gives it back. So a group carries, as tags, where each
of its secrets came from: `<vault>/<name>/<version>`, by variable. A version never changes its value; another version is
another group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from arriero.errors import Problem, Refused
from arriero.plan.compare import describe
from arriero.plan.model import Difference, SiteFacts, Value
from arriero.spec import secret_values
from arriero.spec.image import registry_of
from arriero.spec.model import ResolvedSite

VARIABLE_TAG = "arriero-secret-"  # and the variable's name; a tag's name may be 512 characters, its value 256
LOGIN_TAG = "arriero-registry-login"
DOCKER_HUB = "index.docker.io"
_SHOWN = 8  # of a version's 32 digits


def references(site: ResolvedSite) -> tuple[str, ...]:
    """All of them, each once: what has to be looked up."""
    return tuple(sorted({*site.environment_from.values(), *([site.registry_login] if site.registry_login else [])}))


def defined(site: ResolvedSite) -> Mapping[str, Value]:
    """What of a definition says where secrets come from; nothing where there are none."""
    return {"secrets": dict(site.environment_from)} if site.environment_from else {}


def defined_login(site: ResolvedSite) -> Mapping[str, Value]:
    return {"login": {"server": server(site.image), "secret": site.registry_login}} if site.registry_login else {}


def wanted(site: ResolvedSite, found: SiteFacts, count: int) -> Mapping[str, str]:
    """By tag, what each of `count` groups is to have: `<vault>/<name>/<version>`.

    Where a version can't be learnt, groups keep the one they have. Raises Refused where there must be groups, and none
    has any.
    """
    asked = {f"{VARIABLE_TAG}{variable}": reference for variable, reference in sorted(site.environment_from.items())}
    keys = {tag: f"environment_from.{tag.removeprefix(VARIABLE_TAG)}" for tag in asked}
    if site.registry_login:
        asked[LOGIN_TAG], keys[LOGIN_TAG] = site.registry_login, "registry_login"
    return {
        tag: _place(tag, each, found, f"sites.{site.name}.{keys[tag]}", is_needed=count > 0)
        for tag, each in asked.items()
    }


def of_ollama(tags: Mapping[str, str]) -> Mapping[str, Value]:
    """What of Ollama's container the tags tell; nothing where it has no secrets."""
    found = {tag.removeprefix(VARIABLE_TAG): place for tag, place in tags.items() if tag.startswith(VARIABLE_TAG)}
    return {"secrets": found} if found else {}


def of_group(tags: Mapping[str, str], server: str) -> Mapping[str, Value]:
    """What of the group itself they tell."""
    return {"login": {"server": server, "secret": tags[LOGIN_TAG]}} if LOGIN_TAG in tags else {}


def told(difference: Difference) -> str:
    """In one sentence; a new version is called so."""
    has, wish = (str(value).rpartition("/") for value in (difference.found, difference.wanted))
    if not _is_of_a_secret(difference.property) or has[0] != wish[0] or not wish[0]:
        return describe(difference)
    vault, _, name = wish[0].partition("/")
    what = difference.property.rpartition(".")[2] if ".secrets." in difference.property else "the registry's login"
    return f"{what}: the secret {name} in {vault} has a new version: {wish[2][:_SHOWN]}, after {has[2][:_SHOWN]}"


def unread(found: SiteFacts) -> tuple[str, ...]:
    """What a plan says of vaults that could not be asked."""
    return tuple(
        f"{secret_values.vault_of(reference)}/{secret_values.name_of(reference)}: whether it has a new version is not "
        f"known ({problem}); groups keep what they have"
        for reference, problem in sorted(found.secrets.items())
        if isinstance(problem, Problem)
    )


def server(image: str) -> str:
    """The registry that an image's name leads to."""
    return registry_of(image) or DOCKER_HUB


def parts(place: str) -> tuple[str, str, str]:
    """Vault, name and version of what a tag says. Raises ValueError for anything else: who may write tags must not lead
    a login's token to a host of his own.
    """
    vault, name, version = place.split("/")
    secret_values.reference(f"https://{vault}.vault.azure.net/secrets/{name}/{version}")
    return vault, name, version


def _place(tag: str, reference: str, found: SiteFacts, key: str, *, is_needed: bool) -> str:
    stem = f"{secret_values.vault_of(reference)}/{secret_values.name_of(reference)}"
    version = secret_values.version_of(reference) or found.secrets.get(reference, "")
    if isinstance(version, str) and version:
        return f"{stem}/{version}"
    held = Counter(place for group in found.resources if _is_version_of(stem, place := group.tags.get(tag, "")))
    standing = max(held, key=lambda place: (held[place], place), default="")
    if not standing and is_needed:
        why = version or Problem("was not looked up", "run it again")
        raise Refused(Problem(f"{stem}: {why.what}", why.remedy, key))
    return standing


def _is_version_of(stem: str, place: str) -> bool:
    try:
        return "/".join(parts(place)[:2]) == stem
    except ValueError:
        return False


def _is_of_a_secret(name: str) -> bool:
    return ".secrets." in name or name == "login.secret"
