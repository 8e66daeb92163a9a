"""What a site at Azure stands on, and why it can't move from there in place: container groups, container apps and
virtual machines need another subnet each, and would have to stand side by side meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping

from arriero.errors import Problem, Refused
from arriero.plan.model import SiteFacts
from arriero.plan.wanted import azure_apps, azure_vms
from arriero.spec.gpu import is_virtual
from arriero.spec.model import ResolvedSite

GROUPS, APPS, MACHINES = "container groups", "container apps with GPUs", "virtual machines with GPUs"


def refuse(site: ResolvedSite, found: SiteFacts) -> None:
    """Raises Refused where the site stands on something else than what the spec asks for."""
    stands, wanted = _stands_on(found), MACHINES if is_virtual(site.gpu) else APPS if site.gpu else GROUPS
    if stands in ("", wanted):
        return
    what = f"the site stands on {stands}, and can't move to {wanted}"
    remedy = "name the site anew, `arriero up`, and take the old one down"
    raise Refused(Problem(what, remedy, key=f"sites.{site.name}.gpu"))


def _stands_on(found: SiteFacts) -> str:
    """By whom its subnet is given to; a subnet of virtual machines is given to nobody. Empty where nothing tells."""
    if found.find(azure_vms.VM_KIND):
        return MACHINES
    network = found.find("azure.virtual_network")
    subnet = network.properties["subnet"] if network else None
    given = subnet["delegations"] if isinstance(subnet, Mapping) else ()
    if not isinstance(given, tuple) or not given:
        return ""
    return APPS if azure_apps.is_delegated(map(str, given)) else GROUPS
