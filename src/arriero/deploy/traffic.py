"""What this machine knows of roles, in `edge/roles.json`: its gateway's list of targets follows it.

So traffic moves without a lease, also while no ledger can be reached, and a controller that starts anew then goes on.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from arriero.deploy.project import Project
from arriero.plan.roles import RoleOrder, TrafficOrder

NAME = "roles.json"


def known(project: Project) -> TrafficOrder | None:
    """None where nothing is kept, or it is another version's."""
    try:
        told = json.loads((project.edge / NAME).read_text(encoding="utf-8"))
        return TrafficOrder(RoleOrder(**told["order"]), int(told["after"]), bool(told["is_own"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(project: Project, order: TrafficOrder) -> None:
    project.make_state()
    project.edge.mkdir(mode=0o700, exist_ok=True)
    new = project.edge / f".{NAME}.new"
    new.write_text(json.dumps(asdict(order)), encoding="utf-8")
    new.replace(project.edge / NAME)


def forget(project: Project) -> None:
    (project.edge / NAME).unlink(missing_ok=True)
