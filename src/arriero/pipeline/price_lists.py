"""Brings the clouds' price lists into the user's file of prices: from files, or from where the clouds publish them.

No login is needed or sent. Azure's answers come in pages, which are followed on the same host only.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from arriero.catalog import aws_offer, azure_retail, listing, prices
from arriero.catalog.catalog import Price
from arriero.catalog.listing import Listing
from arriero.catalog.prices import Key, Prices
from arriero.clouds.registry import is_here
from arriero.errors import ArrieroError, Problem, Refused

MOST_BYTES = 256 * 2**20
MOST_PAGES = 200
WITHIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Update:
    """What a price list changes: rows that are new, of another amount, and only read again; and what was left out."""

    prices: Prices
    new: tuple[Key, ...]
    changed: tuple[tuple[Key, Price, Price], ...]
    same: int
    left_out: tuple[str, ...]


def read(place: str, today: date) -> Listing:
    """The list at a path or URL, all of its pages. Raises ArrieroError, naming the place."""
    parts = [_understood(document, name, today) for name, document in _pages(place)]
    rows = [listing.Row(key, price) for part in parts for key, price in part.rows.items()]
    found = listing.gathered(rows, [sentence for part in parts for sentence in part.left_out])
    if not found.rows:
        why = found.left_out[0] if found.left_out else "none of its products is one that arriero is billed for"
        raise ArrieroError(Problem(f"holds no price to keep: {why}", "see: arriero prices update --help", file=place))
    return found


def update(known: Prices, found: Listing) -> Update:
    """`known` with the list's rows over it."""
    before = {key: known.find(*key) for key in found.rows}
    changed = [
        (key, old, found.rows[key]) for key, old in before.items() if old and old.amount != found.rows[key].amount
    ]
    new = tuple(key for key, old in before.items() if old is None)
    same = len(before) - len(new) - len(changed)
    return Update(known.with_rows(found.rows), new, tuple(changed), same, found.left_out)


def write(path: Path, known: Prices) -> None:
    """Written beside and renamed: a reader sees the old file or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.write_text(json.dumps(prices.document(known), indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        what = f"can't be written: {error.strerror or error}"
        raise ArrieroError(Problem(what, "check the folder's permissions", file=str(path))) from None


def _understood(document: Any, place: str, today: date) -> Listing:
    readers = {"aws": aws_offer.read, "azure": azure_retail.read}
    try:
        reader = readers[listing.form(document)]
        return reader(document, place, today.isoformat())
    except KeyError:
        remedy = "give an offer file of the AWS Price List, or an answer of the Azure Retail Prices API, as JSON"
        raise ArrieroError(Problem("is no price list that is known here", remedy, file=place)) from None
    except (ValueError, TypeError, AttributeError) as error:
        what = f"has not the form of a price list: {error}"
        raise ArrieroError(Problem(what, "fetch it again", file=place)) from None


def _pages(place: str) -> Iterator[tuple[str, Any]]:
    if "://" not in place:
        yield place, _parsed(_from_file(place), place)
        return
    host, url = urlsplit(place).netloc, place
    for _ in range(MOST_PAGES):
        document = _parsed(_from_url(url), url)
        yield place, document
        url = azure_retail.next_page(document) if listing.form(document) == "azure" else ""
        if not url:
            return
        if urlsplit(url).netloc != host or urlsplit(url).scheme != urlsplit(place).scheme:
            what = f"goes on at another place, {url[:200]}"
            raise ArrieroError(Problem(what, "fetch the pages yourself, and give the files", file=place))
    raise ArrieroError(Problem(f"has more than {MOST_PAGES} pages", "ask for one service by $filter", file=place))


def _from_file(place: str) -> bytes:
    try:
        with Path(place).expanduser().open("rb") as stream:
            return _bounded(stream.read(MOST_BYTES + 1), place)
    except OSError as error:
        what = f"can't be read: {error.strerror or error}"
        raise ArrieroError(Problem(what, "check its path and permissions", file=place)) from None


def _from_url(url: str) -> bytes:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here(parts.netloc)):
        raise Refused(Problem("is not read from there", "give an https:// address, or a file", file=url))
    try:
        with urllib.request.urlopen(url.replace(" ", "%20"), timeout=WITHIN_SECONDS) as answer:
            return _bounded(answer.read(MOST_BYTES + 1), url)
    except urllib.error.HTTPError as error:
        raise ArrieroError(Problem(f"answers {error.code}", "look at it in a browser", file=url)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise ArrieroError(Problem(f"can't be reached: {why}", "check the network and the proxy", file=url)) from None


def _bounded(data: bytes, place: str) -> bytes:
    if len(data) > MOST_BYTES:
        what = f"is larger than {MOST_BYTES // 2**20} MiB"
        raise Refused(Problem(what, "give the offer of one region, or a service's own", file=place))
    return data


def _parsed(data: bytes, place: str) -> Any:
    """Amounts as they are written: no binary fraction comes between."""
    try:
        return json.loads(data, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise ArrieroError(Problem("is not JSON", "give the list as JSON, not as CSV", file=place)) from None
