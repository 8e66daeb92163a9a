"""Names asked for at a DNS server: what is on the wire, and what of an answer is believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from dns_server import answer, name_of, names
from running_gateway import run

from arriero.gateway.wire import dns
from arriero.gateway.wire.dns import LookupFailed, Resolver, addresses, question, servers

ASKED = question("targets.llm.internal", 7)


def test_a_question_is_what_the_standard_says() -> None:
    assert ASKED == (
        b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
        + b"\x07targets\x03llm\x08internal\x00"
        + b"\x00\x01\x00\x01"
    )
    assert question("targets.llm.internal.", 7) == ASKED


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, "müller.de", ".".join(["x" * 60] * 5)])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of DNS"):
        question(name, 1)


def good(*found: str, code: int = 0) -> bytes:
    return answer(b"\x00\x07", ASKED[12:], list(found), code)


def test_addresses_are_read_and_sorted_and_other_records_passed_over() -> None:
    assert addresses(ASKED, good("10.64.1.9", "10.64.0.7")) == ("10.64.0.7", "10.64.1.9")
    assert addresses(ASKED, good()) == addresses(ASKED, good(code=3)) == ()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (b"", "its answer is cut off"),
        (good("10.0.0.1")[:-2], "its answer is cut off"),
        (ASKED, "it answered something else"),
        (b"\x00\x08" + good()[2:], "it answered something else"),
        (good().replace(b"targets", b"another"), "it answered another question"),
        (good(code=2), "it answered with code 2"),
        (good(code=5), "it answered with code 5"),
    ],
)
def test_what_is_no_answer_is_no_word_on_the_targets(told: bytes, why: str) -> None:
    with pytest.raises(LookupFailed, match=f"^{why}$"):
        addresses(ASKED, told)


def test_an_answer_cut_off_anywhere_is_never_taken_for_a_shorter_list() -> None:
    whole = good("10.0.0.1", "10.0.0.2")
    for length in range(len(whole)):
        with pytest.raises(LookupFailed):
            addresses(ASKED, whole[:length])


def test_the_servers_of_a_machine_are_those_that_its_file_names(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# by hand\nsearch example.com\nnameserver 10.64.0.2\nnameserver fd00::2\nnameserver\n")
    assert servers(file) == ("10.64.0.2:53", "fd00::2:53")
    assert servers(tmp_path / "none") == ()


def test_the_next_server_is_asked_where_one_is_silent_or_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "ANSWER_SECONDS", 0.1)

    async def story() -> None:
        async with names(llm=["10.0.0.1"]) as good, names() as silent:
            silent.is_silent = True
            assert await Resolver([silent.address, good.address]).ask("llm") == ("10.0.0.1",)
            assert await Resolver(["127.0.0.1:9", good.address]).ask("llm") == ("10.0.0.1",)
            good.code = 2
            with pytest.raises(LookupFailed, match=f"^{good.address}: it answered with code 2$"):
                await Resolver([good.address]).ask("llm")
            with pytest.raises(LookupFailed, match=f"^{silent.address}: no answer within 0.1 s$"):
                await Resolver([silent.address]).ask("llm")
            assert len(silent.heard) == 3

    run(story())


def test_what_a_stranger_sends_meanwhile_is_not_listened_to() -> None:
    async def story() -> None:
        async with names(llm=["10.0.0.1"]) as server:
            usual = server.datagram_received

            def both(data: bytes, peer: tuple[str, int]) -> None:
                forged = bytes([data[0] ^ 1, data[1]])
                assert server._transport is not None
                server._transport.sendto(answer(forged, name_of(data)[1], ["6.6.6.6"]), peer)
                usual(data, peer)

            server.datagram_received = both  # type: ignore[method-assign]
            assert await Resolver([server.address]).ask("llm") == ("10.0.0.1",)

    run(story())
