"""Price lists from files and over HTTP, page by page, into the user's file, and what is refused on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from arriero.catalog.prices import BUILT_IN
from arriero.cli.main import run
from arriero.errors import ArrieroError
from arriero.pipeline import price_lists
from arriero.spec.load import load, load_prices

CASES = Path(__file__).parents[1] / "cases" / "price_lists"
TODAY = date(2026, 11, 29)
SPEC = "name: llm\nimage: acme/llm:1\nmodels: [llama2]\nsites:\n  one: {cloud: azure, region: eastus}\n"


class Pages(BaseHTTPRequestHandler):
    """Answers with what stands in `pages`, by path; anything else is 404."""

    pages: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        found = self.pages.get(self.path)
        data = json.dumps(found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def listed(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text())["list"]


def put(folder: Path, name: str) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(listed(name)))
    return str(path)


def test_all_pages_of_azures_answer_are_read(site: str) -> None:
    Pages.pages = {
        "/first?filter=a": {**listed("azure-container-instances"), "NextPageLink": f"{site}/second?skip=100"},
        "/second?skip=100": listed("azure-global-is-everywhere"),
    }
    found = price_lists.read(f"{site}/first?filter=a", TODAY)
    assert sorted(" ".join(key) for key in found.rows) == [
        "azure * nat_gateway",
        "azure * nat_gateway.data",
        "azure eastus aci.memory",
        "azure eastus aci.vcpu",
    ]
    assert {price.source.page for price in found.rows.values()} == {f"{site}/first?filter=a"}


def test_pages_elsewhere_are_not_followed(site: str) -> None:
    Pages.pages = {"/": {**listed("azure-container-instances"), "NextPageLink": "https://example.com/more"}}
    with pytest.raises(ArrieroError, match=r"goes on at another place, https://example\.com/more"):
        price_lists.read(f"{site}/", TODAY)


def test_pages_without_an_end_are_ended(site: str) -> None:
    Pages.pages = {"/": {**listed("azure-container-instances"), "NextPageLink": f"{site}/"}}
    with pytest.raises(ArrieroError, match="has more than 200 pages"):
        price_lists.read(f"{site}/", TODAY)


def test_what_is_not_there_is_said(site: str, tmp_path: Path) -> None:
    Pages.pages = {}
    with pytest.raises(ArrieroError, match="answers 404"):
        price_lists.read(f"{site}/none", TODAY)
    with pytest.raises(ArrieroError, match="can't be read: No such file or directory"):
        price_lists.read(str(tmp_path / "none.json"), TODAY)
    with pytest.raises(ArrieroError, match="can't be reached"):
        price_lists.read("http://127.0.0.1:1/", TODAY)


@pytest.mark.parametrize("url", ["http://example.com/x", "ftp://example.com/x", "file:///etc/passwd"])
def test_other_ways_are_refused(url: str) -> None:
    with pytest.raises(ArrieroError, match="is not read from there; give an https:// address, or a file"):
        price_lists.read(url, TODAY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sku,price\n1,2\n", "is not JSON; give the list as JSON, not as CSV"),
        ("[]", "is no price list that is known here"),
        ('{"Items": [1]}', "has not the form of a price list: holds an item that is no JSON object"),
        ('{"Items": []}', "holds no price to keep: none of its products is one that arriero is billed for"),
        ('{"products": {"a": {"attributes": 1}}, "terms": {}}', "names no offerCode"),
    ],
)
def test_what_is_no_price_list_is_refused_in_words(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(ArrieroError) as refused:
        price_lists.read(str(tmp_path / "list.json"), TODAY)
    assert message in str(refused.value)


def test_an_update_says_what_is_new_changed_and_the_same(tmp_path: Path) -> None:
    step = price_lists.update(BUILT_IN, price_lists.read(put(tmp_path, "azure-two-regions"), TODAY))
    assert (step.new, step.changed, step.same) == ((), (), 2)
    cheaper = listed("azure-container-instances")
    cheaper["Items"][0]["retailPrice"] = 0.0365
    (tmp_path / "cheaper.json").write_text(json.dumps(cheaper))
    step = price_lists.update(step.prices, price_lists.read(str(tmp_path / "cheaper.json"), TODAY))
    assert [(key, old.amount, new.amount) for key, old, new in step.changed] == [
        (("azure", "eastus", "aci.vcpu"), Decimal("0.0405"), Decimal("0.0365"))
    ]
    assert len(step.prices.own) == 4


def test_the_verb_writes_the_file_that_plans_go_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arriero.yaml").write_text(SPEC)
    assert run(["cost", "--forecast", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["sites"][0]["price"]
    assert (before["complete"], before["monthly"]) == (False, "340.47")
    lists = [put(tmp_path, name) for name in ("azure-global-is-everywhere", "azure-container-instances")]
    assert run(["prices", "update", *(part for each in lists for part in ("--from", each))]) == 0
    assert "2 new, 0 changed, 0 as before" in capsys.readouterr().out
    assert run(["cost", "--forecast", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)["sites"][0]["price"]
    assert [each["item"] for each in after["unknown"]] == ["public IPv4"]
    assert after["monthly"] == "373.32"
    assert after["by_use"][0]["unit_price"] == "0.045"
    assert run(["prices", "list", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["prices"]
    assert {each["item"]: each["amount"] for each in rows}["public IPv4"] is None


def test_a_broken_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "arriero.yaml").write_text(SPEC)
    (tmp_path / "arriero.prices.json").write_text('{"currency": "USD",\n "sources"}')
    with pytest.raises(ArrieroError, match=r"arriero\.prices\.json:2: is not JSON; correct it, or write it anew"):
        load(tmp_path / "arriero.yaml", None, {})
    (tmp_path / "arriero.prices.json").write_text('{"currency": "USD"}')
    with pytest.raises(ArrieroError, match=r"arriero\.prices\.json: sources: is not a section"):
        load_prices(tmp_path / "arriero.yaml")
