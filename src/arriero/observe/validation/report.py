"""A validation for people, and as the JUnit XML that CI servers read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from arriero.observe.validation.findings import Finding, Validation

MARKS = {"passed": "✓", "failed": "✗", "skipped": "·"}
# XML 1.0 has no way to write these, not even as a reference.
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def lines(validation: Validation) -> list[str]:
    """A line for each check, under its place."""
    found = []
    for place in _places(validation.findings):
        rows = [finding for finding in validation.findings if finding.place == place]
        failed = sum(row.verdict == "failed" for row in rows)
        found.append(f"{place}: " + (f"{failed} of {len(rows)} checks failed" if failed else f"{len(rows)} checks"))
        wide = max(len(row.check) for row in rows)
        found += [
            f"  {MARKS[row.verdict]} {row.target:<{_widest(rows)}} {row.check:<{wide}}  {row.found}" for row in rows
        ]
    release = f" release {validation.release}" if validation.release else ""
    verdict = "good." if validation.is_good else f"not good: {len(validation.failed)} checks failed."
    return [*found, f"{validation.service}{release}: {verdict}"]


def junit(validation: Validation) -> str:
    """One suite for each place, one case for each check, in the form that Jenkins's `junit` step and others read."""
    root = Xml.Element("testsuites", name=f"arriero validate {validation.service}")
    for place in _places(validation.findings):
        rows = [finding for finding in validation.findings if finding.place == place]
        counts = {verdict: str(sum(row.verdict == verdict for row in rows)) for verdict in ("failed", "skipped")}
        suite = Xml.SubElement(
            root,
            "testsuite",
            name=place,
            tests=str(len(rows)),
            failures=counts["failed"],
            errors="0",
            skipped=counts["skipped"],
            time=f"{sum(row.seconds for row in rows):.3f}",
        )
        for row in rows:
            _case(suite, row)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _case(suite: Xml.Element, row: Finding) -> None:
    classname = ".".join(filter(None, (row.place, row.target)))
    case = Xml.SubElement(
        suite, "testcase", name=_clean(row.check), classname=_clean(classname), time=f"{row.seconds:.3f}"
    )
    if row.verdict == "failed":
        Xml.SubElement(case, "failure", message=_clean(row.found)).text = _clean(row.found)
    elif row.verdict == "skipped":
        Xml.SubElement(case, "skipped", message=_clean(row.found))
    else:
        Xml.SubElement(case, "system-out").text = _clean(row.found)


def _clean(text: str) -> str:
    return NOT_IN_XML.sub("�", text)


def _places(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.place for finding in findings))


def _widest(rows: Sequence[Finding]) -> int:
    return max(len(row.target) for row in rows)
