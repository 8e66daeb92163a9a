"""What can be done from the page: each act's name, what is said before it, and the work.

No rule of the product is here: a verb or the gateway decides.
"""

from __future__ import annotations

import asyncio

from arriero.control.messages import Weights
from arriero.ui.page.asking import Asking
from arriero.ui.page.desk import Desk


class Orders:
    """One viewer's."""

    def __init__(self, desk: Desk, asking: Asking) -> None:
        self._desk, self._asking = desk, asking

    def roll_back(self, number: int, running: int | None) -> None:
        async def work() -> str:
            last = ""
            async for told in self._desk.verbs.act("rollback", str(number)):
                last = str(told.get("text") or told.get("event") or last)
            return f"release {number} runs again" if last else f"nothing to do: release {number} runs"

        said = [
            f"The service goes back from release {running} to release {number}, at every site that can be read.",
            "Targets of the old release that still run are used by weight; else they are made anew. Streams go on.",
            f"Acting on {self._desk.where}.",
        ]
        self._asking.about(f"Go back to release {number}?", said, "rollback", {"release": number}, work)

    def promote(self, number: int) -> None:
        async def work() -> str:
            async for _ in self._desk.verbs.act("promote", str(number)):
                pass
            return f"release {number} is stable"

        said = [f"Release {number} becomes the stable one: `rollback stable` leads to it."]
        self._asking.about(f"Promote release {number}?", said, "promote", {"release": number}, work)

    def traffic(self, site: str, weight: int) -> None:
        """Weight 0 takes a site's targets out of the traffic; 100 gives them what the list of targets says."""

        async def work() -> str:
            return await asyncio.to_thread(self._weigh, site, weight)

        word = "Put {} back into the traffic?" if weight else "Take {} out of the traffic?"
        said = [
            "New requests go to the other sites; what runs there goes on to its end."
            if not weight
            else "New requests go there again.",
            "It holds until it is taken back here, or the targets leave. Nothing is started or stopped.",
        ]
        self._asking.about(word.format(site), said, "traffic", {"site": site, "weight": weight}, work)

    def _weigh(self, site: str, weight: int) -> str:
        gateway = self._desk.gateway()
        usual = {entry.id: entry.weight for entry in gateway.targets().entries if entry.site == site}
        gateway.set_weights(Weights({target: (own if weight else 0) for target, own in usual.items()}))
        return f"{len(usual)} target(s) of {site} {'in' if weight else 'out of'} the traffic"
