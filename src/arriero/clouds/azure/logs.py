"""The lines that a site's containers wrote: from each container group's own log, a tail of at most 4 MB without a
cursor, and what that has no longer from the site's workspace, where there is one.

A workspace has lines some minutes late, and for groups that are gone. It says itself when a line was written, not quite
as the group does: where both may have a line, its text decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from arriero.clock import SystemClock
from arriero.clouds.azure import facts, groups, workspaces
from arriero.clouds.azure.connection import Found, connect
from arriero.clouds.azure.errors import door
from arriero.errors import CloudError, Problem
from arriero.plan.model import LogLine, SiteRef

TAIL_LINES = 5000
# A tail of fewer lines and bytes is the whole log.
TAIL_BYTES = 4_000_000
# Who asks for no more than this is answered by the tails: a workspace would not have it yet.
RECENT = timedelta(minutes=2)
# How far apart group and workspace may say that the same line was written.
APART = timedelta(seconds=60)

Tails = Mapping[tuple[str, str], Sequence[LogLine]]


def read(ref: SiteRef, since: datetime) -> Sequence[LogLine]:
    """All lines since then that are still kept. Raises CloudError, for container apps always: Azure streams their
    lines, and nobody here reads that; and for virtual machines, which keep theirs to themselves.
    """
    if ref.virtual:
        group = f"{ref.service}-{ref.site}"
        what = f"lines of virtual machines stay on them and are not read here, and {ref.site} has some"
        remedy = (
            f"az vm run-command invoke --resource-group {group} --name {group}-r1-1 --command-id RunShellScript "
            "--scripts 'journalctl --unit arriero-ollama --lines 200'"
        )
        raise CloudError(ref.site, Problem(what, remedy))
    if ref.machines:
        group = f"{ref.service}-{ref.site}"
        what = f"lines of container apps are not read here, and {ref.site} has some"
        remedy = f"az containerapp logs show --resource-group {group} --name {group}-r1-1 --container ollama --follow"
        raise CloudError(ref.site, Problem(what, remedy))
    with door(ref.site, ref.region), ThreadPoolExecutor(max_workers=8, thread_name_prefix="logs") as pool:
        items = facts.group_items(connect(), ref, pool)
        asked = [(str(item["name"]), str(one["name"])) for item in items for one in item["properties"]["containers"]]
        tails = dict(zip(asked, pool.map(lambda one: _tail(ref, *one), asked), strict=True))
        kept = _kept(ref, items, since) if is_needed(tails, since, SystemClock().now()) else {}
        lines = [*filled(tails, kept), *(line for tail in tails.values() for line in tail)]
        return [line for line in lines if line.at >= since]


def is_needed(tails: Tails, since: datetime, now: datetime) -> bool:
    """Whether the tails may lack something of that time: a group that is gone, or a tail that does not reach back."""
    return since < now - RECENT or any(tail[0].at > since for tail in tails.values() if _is_cut(tail))


def filled(tails: Tails, kept: Tails) -> Iterator[LogLine]:
    """What the workspace kept and no tail has."""
    for which, lines in kept.items():
        tail = tails.get(which)
        if not tail:
            yield from lines
            continue
        begins = tail[0].at
        known = Counter(line.text for line in tail if line.at < begins + 2 * APART)
        for line in lines:
            if line.at >= begins + APART:
                break  # from here on the tail has all
            if line.at > begins - APART and known[line.text]:
                known[line.text] -= 1
            else:
                yield line


def _is_cut(tail: Sequence[LogLine]) -> bool:
    return len(tail) >= TAIL_LINES or sum(len(line.text) for line in tail) >= TAIL_BYTES


def _kept(ref: SiteRef, items: Sequence[Found], since: datetime) -> Tails:
    """By group and container, in the order of their times; nothing where the site has no workspace."""
    found: dict[tuple[str, str], list[LogLine]] = {}
    named = next(filter(None, (workspaces.id_in(item["properties"]) for item in items)), "")
    if not named and ref.has_workspace:
        standing = workspaces.read(connect(), ref)
        named = workspaces.id_of(standing) if standing else ""
    for row in workspaces.lines(ref, named, since) if named else ():
        found.setdefault((row.target, row.container), []).append(LogLine(row.at, ref.site, row.target, row.text))
    return found


def _tail(ref: SiteRef, group: str, container: str) -> list[LogLine]:
    """None where the container has not been started yet."""
    path = f"/resourceGroups/{ref.service}-{ref.site}/providers/{groups.TYPE}/{group}/containers/{container}/logs"
    answer = connect().get(path, groups.VERSION, tail=str(TAIL_LINES), timestamps="true")
    return [line for text in str((answer or {}).get("content", "")).splitlines() if (line := _line(ref, group, text))]


def _line(ref: SiteRef, group: str, text: str) -> LogLine | None:
    """`2026-01-02T03:04:05.678Z words`, as ACI writes it with timestamps; a cut first line has none and is left out."""
    stamp, _, words = text.partition(" ")
    try:
        return LogLine(datetime.fromisoformat(stamp), ref.site, group, words)
    except ValueError:
        return None
