"""What a gateway would tell of its load, in a play: the same figures as `gateway/telling/load.py` has."""

from __future__ import annotations

from collections.abc import Mapping

from arriero.control.load import Ended, GatewayLoad, Pending
from arriero.gateway.routing.admission import Line
from arriero.simulate.machine import Job


class Telling:
    """Mutable: told of each request that opens, ends, or loses its target."""

    def __init__(self) -> None:
        self._ended: dict[str, list[float]] = {}
        self._open: dict[str, list[int]] = {}

    def opened(self, job: Job) -> None:
        here = self._open.setdefault(job.model, [0, 0])
        here[0] += 1
        here[1] += job.received

    def cut(self, job: Job) -> None:
        here = self._open[job.model]
        here[0] -= 1
        here[1] -= job.received

    def ended(self, job: Job, now: float) -> None:
        self.cut(job)
        sums = self._ended.setdefault(job.model, [0.0] * 5)
        for place, more in enumerate((1, job.prompt, job.tokens, now - job.sent_at, job.received)):
            sums[place] += more

    def told(self, lines: Mapping[str, Line]) -> GatewayLoad:
        pending = {model: Pending(count, size) for model, (count, size) in self._open.items() if count}
        for model, line in lines.items():
            size = sum(job.received for job in line.everybody() if isinstance(job, Job))
            pending[model] = pending.get(model, Pending()) + Pending(waiting=len(line), waiting_bytes=size)
        return GatewayLoad({model: Ended(*sums) for model, sums in self._ended.items()}, pending)
