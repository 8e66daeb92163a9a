"""The image that every target runs: by which name, whom it runs as, and when it was last looked through."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from arriero.policy.rule import Hit, Severity, Subject, rule

ROOTS = ("", "0", "root")


def _graver(subject: Subject) -> Severity:
    return "error" if subject.spec.policy.production else "warning"


@rule(
    "image-unpinned",
    "warning",
    reason="a tag can be moved: two targets of one release may run different programs",
    remedy="write its digest behind it: registry/path:tag@sha256:…",
)
def image_unpinned(subject: Subject) -> Iterator[Hit]:
    name = image_name(subject)
    if "@sha256:" not in name and _is_deployed(subject):
        yield Hit("image", f"{name} has no digest", _graver(subject))


@rule(
    "missing-scan",
    "warning",
    reason="what nobody looked through may hold known faults",
    remedy="trivy image --format json --output trivy.json IMAGE, and policy.scan: trivy.json",
)
def missing_scan(subject: Subject) -> Iterator[Hit]:
    scan, policy, name = subject.scan, subject.spec.policy, image_name(subject)
    if not _is_deployed(subject):
        return
    if scan is None:
        yield Hit("image", f"there is no scan of {name}", _graver(subject))
    elif not any(_is_same(name, scanned) for scanned in scan.images):
        yield Hit("policy.scan", f"the scan is of {scan.images[0] if scan.images else 'no image'}", _graver(subject))
    elif scan.on is None or subject.today - scan.on > timedelta(days=policy.scan_days):
        what = f"the scan is of {scan.on or 'no known day'}, older than {policy.scan_days} days"
        yield Hit("policy.scan", what, _graver(subject))


@rule(
    "image-faults",
    "warning",
    reason="a known fault is the first thing that is tried",
    remedy="build the image anew from newer parts, and scan it",
)
def image_faults(subject: Subject) -> Iterator[Hit]:
    serious = subject.scan.serious if subject.scan else 0
    if serious and _is_deployed(subject):
        what = f"the scan found {serious} high or critical {'fault' if serious == 1 else 'faults'}"
        yield Hit("policy.scan", what, _graver(subject))


@rule(
    "root-user",
    "error",
    reason="a program that runs as root and is broken into has the whole container, and a better way out of it",
    remedy="build the image with a USER of its own",
)
def root_user(subject: Subject) -> Iterator[Hit]:
    """Only a scan's report tells; without one `missing-scan` says that nothing is known."""
    if subject.scan and subject.scan.user.partition(":")[0] in ROOTS and _is_deployed(subject):
        yield Hit("image", "its programs run as root")


def image_name(subject: Subject) -> str:
    return subject.spec.image.name


def _is_deployed(subject: Subject) -> bool:
    """A local site runs this machine's own Ollama, and no image."""
    return any(site.cloud != "local" for site in subject.spec.sites.values())


def _is_same(name: str, scanned: str) -> bool:
    """By digest where both have one, else by their whole names."""
    ours, theirs = name.partition("@")[2], scanned.partition("@")[2]
    return ours == theirs if ours and theirs else name.partition("@")[0] == scanned.partition("@")[0]


RULES = (image_unpinned, missing_scan, image_faults, root_user)
