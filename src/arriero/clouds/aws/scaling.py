"""The desired count of a site's ECS service, and which tasks go when it is lowered.

ECS chooses by itself which tasks it stops, but never a protected one: so those that stay are protected for a minute.
A protection that a task's sidecar asked for is left as it is, as it may have to last longer.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection.html
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from arriero.clouds.aws import ecs as services
from arriero.clouds.aws import tasks
from arriero.clouds.aws.clients import clients
from arriero.clouds.aws.errors import door
from arriero.clouds.scaling import Busy, Require, Standing
from arriero.errors import CloudError, Problem
from arriero.plan.model import SiteRef
from arriero.plan.wanted import aws_capacity

PROTECTED_MINUTES = 1
_TASKS_A_CALL = 10  # as many as UpdateTaskProtection takes


def read(ref: SiteRef) -> Standing:
    """The newest service's count, and the tasks of all of the site's services."""
    with door(ref.site, ref.region), ThreadPoolExecutor(2, thread_name_prefix="scaling") as pool:
        ecs = clients().get("ecs", ref.region)
        running = pool.submit(services.read_services, ecs, ref)
        found = tasks.read(ecs, ref, pool)
        newest = running.result().newest
        service = newest.found if newest else None
    live = [target for target in found if target.state not in ("stopped", "draining")]
    own, covering = (tuple(t for t in live if t.stands_in is each) for each in (False, True))
    if service is None:
        return Standing(ref.site, 0, own, obstacle="there is no ECS service; arriero up makes it", stand_ins=covering)
    name, count = str(service["serviceName"]), int(service["desiredCount"])
    placed = sum(target.resource == name for target in own)
    return Standing(
        ref.site,
        count,
        own,
        name,
        unplaced=max(0, count - placed) if _lacks_capacity(service) else 0,
        stand_ins=covering,
        release=services.release_of(newest) if newest else None,
    )


def start(ref: SiteRef, standing: Standing, more: int, require: Require) -> Sequence[str]:
    _set_count(ref, standing, standing.count + more, require)
    return ()


def stop(ref: SiteRef, standing: Standing, leaving: Sequence[str], require: Require) -> None:
    """Raises Busy where one of them is still protected: ECS would take another one in its place."""
    staying = [target.id for target in standing.targets if target.id not in leaving]
    protected = _protected(ref, [*leaving, *staying])
    if busy := sorted(protected & set(leaving)):
        raise Busy(ref.site, Problem(f"{', '.join(busy)} is protected by its sidecar for some seconds more"))
    open_to_choice = [each for each in staying if each not in protected]
    with door(ref.site, ref.region):
        for page in _pages(open_to_choice):
            require()
            _ecs(ref).update_task_protection(
                cluster=_cluster(ref), tasks=page, protectionEnabled=True, expiresInMinutes=PROTECTED_MINUTES
            )
    _set_count(ref, standing, standing.count - len(leaving), require)


def stand_in(ref: SiteRef, more: int, require: Require) -> Sequence[str]:
    """Tasks of no service, of the revision that the service runs and in its network, on demand."""
    started: list[str] = []
    with door(ref.site, ref.region):
        ecs = _ecs(ref)
        service = services.read_services(ecs, ref).targets[-1].found
        while len(started) < more:
            require()
            answer = ecs.run_task(
                cluster=_cluster(ref),
                taskDefinition=service["taskDefinition"],
                capacityProviderStrategy=[{"capacityProvider": aws_capacity.ON_DEMAND, "weight": 1}],
                networkConfiguration=service["networkConfiguration"],
                count=min(more - len(started), _TASKS_A_CALL),
                startedBy=tasks.STANDS_IN,
                tags=list(service.get("tags", ())),
            )
            started += [str(task["taskArn"]).rpartition("/")[2] for task in answer["tasks"]]
            if answer.get("failures"):
                why = answer["failures"][0].get("reason", "")
                raise CloudError(ref.site, Problem(f"nothing can stand in for Spot, ECS says: {why}"))
    return started


def dismiss(ref: SiteRef, leaving: Sequence[str], require: Require) -> None:
    with door(ref.site, ref.region):
        for task in leaving:
            require()
            _ecs(ref).stop_task(cluster=_cluster(ref), task=task, reason="It stood in for Spot, which is back.")


def _lacks_capacity(service: Any) -> bool:
    """Whether what ECS told last of starting tasks is that it found no capacity for one.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
    """
    told = [str(event["message"]) for event in service.get("events", ())]
    last = next((text for text in told if " has started " in text or " was unable to place a task" in text), "")
    return "Capacity is unavailable at this time" in last


def _set_count(ref: SiteRef, standing: Standing, count: int, require: Require) -> None:
    with door(ref.site, ref.region):
        require()
        _ecs(ref).update_service(cluster=_cluster(ref), service=standing.holder, desiredCount=count)


def _protected(ref: SiteRef, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    with door(ref.site, ref.region):
        for page in _pages(ids):
            rows = _ecs(ref).get_task_protection(cluster=_cluster(ref), tasks=page)["protectedTasks"]
            found |= {str(row["taskArn"]).rpartition("/")[2] for row in rows if row["protectionEnabled"]}
    return found


def _pages(ids: Sequence[str]) -> list[list[str]]:
    return [list(ids[at : at + _TASKS_A_CALL]) for at in range(0, len(ids), _TASKS_A_CALL)]


def _ecs(ref: SiteRef) -> Any:
    return clients().get("ecs", ref.region)


def _cluster(ref: SiteRef) -> str:
    return f"{ref.service}-{ref.site}"
