"""What the verbs of the image print, as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arriero.events import Json
from arriero.pipeline.image.build import gigabytes, local_name
from arriero.pipeline.image.forecast import Row
from arriero.pipeline.image.plan import ImagePlan
from arriero.pipeline.image.push import Outcome
from arriero.pipeline.image.record import Built
from arriero.pipeline.image.scan import Scanned
from arriero.spec.model import Spec

UNKNOWN = "unknown"


def plan_lines(spec: Spec, found: ImagePlan) -> Iterator[str]:
    head = [("MODEL", "WAY", "SIZE", "FROM", "DIGEST")]
    yield from table(
        head + [(row.name, row.way, _size(row.size), row.source, row.digest[:19] or UNKNOWN) for row in found.models]
    )
    yield f"The image without its models: {_size(found.programs)}."
    if found.rows:
        yield ""
        rows = [("SITE", "MODELS", "IMAGE", "PULL", "COLD START", "KEPT A MONTH"), *map(_cells, found.rows)]
        yield from table(rows)
        yield "A cold start is until the models are there; loading them into memory comes on top."
    yield f"Registries: {', '.join(found.repositories)}; they keep {spec.image.keep} releases, and what is stable."
    warned = dict.fromkeys(f"! {row.site}: {text}" for row in found.rows if row.way == "baked" for text in row.warnings)
    yield from warned
    yield from (f"! {note}" for note in found.notes)


def _cells(row: Row) -> tuple[str, ...]:
    kept = UNKNOWN if row.monthly is None else str(row.monthly)
    return row.site, row.way, _size(row.image), _time(row.pull_seconds), _time(row.cold_seconds), kept


def plan_json(found: ImagePlan) -> dict[str, object]:
    models = [
        {"name": row.name, "way": row.way, "from": row.source, "bytes": row.size, "digest": row.digest or None}
        for row in found.models
    ]
    return {
        "models": models,
        "programs_bytes": found.programs,
        "sites": [row.as_json() for row in found.rows],
        "repositories": list(found.repositories),
        "notes": list(found.notes),
    }


def built_lines(spec: Spec, built: Built) -> Iterator[str]:
    yield f"{local_name(spec)}: {built.id}, {gigabytes(built.size)}, in {built.seconds:.0f}s"
    yield from (f"  {name}: {digest}, layer {built.model_layers[name]}" for name, digest in built.models.items())


def built_json(spec: Spec, built: Built) -> dict[str, Json]:
    return {
        "name": local_name(spec),
        "id": built.id,
        "revision": built.revision,
        "bytes": built.size,
        "models": [
            {"name": name, "digest": digest, "layer": built.model_layers[name]} for name, digest in built.models.items()
        ],
        "seconds": built.seconds,
    }


def scan_lines(found: Scanned) -> Iterator[str]:
    verdict = found.verdict
    yield from (f"✗ {finding}" for finding in verdict.refused)
    allowed = [(finding, why) for finding, why in verdict.passed if why.startswith("allowed")]
    yield from (f"· {finding} ({why})" for finding, why in allowed)
    yield from (f"! {note}" for note in verdict.notes)
    said = f"{len(verdict.refused)} refused, {len(verdict.passed)} let pass"
    yield f"{', '.join(found.programs)}: {said}"
    if found.bill:
        yield f"{found.bill}: {found.parts} parts"


def scan_json(found: Scanned) -> dict[str, object]:
    return {
        "image": found.image,
        "good": found.verdict.is_good,
        "programs": list(found.programs),
        "refused": [finding.as_json() for finding in found.verdict.refused],
        "passed": [{**finding.as_json(), "why": why} for finding, why in found.verdict.passed],
        "notes": list(found.verdict.notes),
        "sbom": str(found.bill) if found.bill else None,
        "parts": found.parts,
    }


def pushed_lines(done: Outcome) -> Iterator[str]:
    yield from (f"{name}@{done.pushed.digest}" for name in done.pushed.repositories)
    yield f"tags: {', '.join(done.pushed.tags)}"
    yield from (f"! {note}" for note in done.notes)


def pushed_json(done: Outcome) -> dict[str, Json]:
    return {
        "digest": done.pushed.digest,
        "repositories": list(done.pushed.repositories),
        "tags": list(done.pushed.tags),
        "notes": list(done.notes),
    }


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _size(size: int | None) -> str:
    return UNKNOWN if size is None else gigabytes(size)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    whole = round(seconds)
    return f"{whole}s" if whole < 120 else f"{whole // 60}m{whole % 60:02}s"
