"""What the emulated ingresses pass on, and when they cut: by a given clock, with servers of the test's own behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from arriero.clock import ManualClock
from arriero.rehearse.forwarding import Head, Limits, Listener, Loop, Said, Way

Talk = Callable[[socket.socket], None]


@contextmanager
def server(talk: Talk) -> Iterator[int]:
    """One that accepts connections and talks on each; it ends with the test."""
    door = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    try:
        yield door.getsockname()[1]
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()


@contextmanager
def before(port: int, clock: ManualClock, limits: Limits, said: Said | None = None) -> Iterator[int]:
    """A listener that sends every request to that port."""

    def decide(head: Head) -> Said | Way:
        return said or Way("127.0.0.1", port, {"X-Forwarded-For": head.peer})

    loop, listener = Loop("a test"), Listener(decide, lambda: limits, clock)
    loop.start()
    try:
        with socket.create_server(("127.0.0.1", 0)) as free:
            chosen = int(free.getsockname()[1])
        loop.do(listener.start("127.0.0.1", chosen))
        yield chosen
        loop.do(listener.stop())
    finally:
        loop.stop()


def ask(port: int, text: bytes = b"GET / HTTP/1.1\r\nHost: llm\r\nConnection: keep-alive\r\n\r\n") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(text)
    return client


def everything(client: socket.socket) -> bytes:
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))


def head_of(connection: socket.socket) -> bytes:
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(65536)
    return said


def test_a_request_is_passed_on_with_the_clients_address_and_the_answer_as_it_is() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        with connection:
            heard.append(head_of(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")

    with server(talk) as inner, before(inner, ManualClock(), Limits(60)) as port:
        assert everything(ask(port)).endswith(b"2\r\nhi\r\n0\r\n\r\n")
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in heard[0]
    assert b"keep-alive" not in heard[0]
    assert b"Connection: close" in heard[0]


def test_a_stream_that_goes_on_is_not_cut_and_one_that_is_silent_for_too_long_is() -> None:
    clock, go_on, has_gone = ManualClock(), threading.Event(), threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection:
            head_of(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst ")
            go_on.wait(10)
            connection.sendall(b"second")
            if not connection.recv(1):
                has_gone.set()

    with server(talk) as inner, before(inner, clock, Limits(60)) as port, ask(port) as client:
        assert client.recv(65536).endswith(b"first ")
        clock.elapsed_seconds += 59
        go_on.set()
        assert client.recv(65536) == b"second"
        clock.elapsed_seconds += 59
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        clock.elapsed_seconds += 1
        client.settimeout(10)
        assert client.recv(1) == b""
        assert has_gone.wait(10)


def test_an_answer_that_does_not_begin_in_time_is_504() -> None:
    clock = ManualClock()

    def talk(connection: socket.socket) -> None:
        head_of(connection)
        connection.recv(1)

    for limits, seconds in ((Limits(60), 60), (Limits(4000, first_response=240), 240)):
        with server(talk) as inner, before(inner, clock, limits) as port, ask(port) as client:
            time.sleep(0.1)  # so that the request is under way before the clock moves
            clock.elapsed_seconds += seconds
            assert client.recv(65536).startswith(b"HTTP/1.1 504 ")


def test_a_server_that_is_not_there_and_one_that_says_nothing_are_502() -> None:
    with server(lambda connection: connection.close()) as inner, before(inner, ManualClock(), Limits(60)) as port:
        assert everything(ask(port)).startswith(b"HTTP/1.1 502 ")
    with before(1, ManualClock(), Limits(60)) as port:
        assert everything(ask(port)).startswith(b"HTTP/1.1 502 ")


def test_what_is_no_request_is_400_and_a_decision_is_said() -> None:
    with before(1, ManualClock(), Limits(60)) as port:
        assert everything(ask(port, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    with before(1, ManualClock(), Limits(60), Said(301, headers={"Location": "https://llm/"})) as port:
        assert b"\r\nLocation: https://llm/\r\n" in everything(ask(port))


def test_a_client_that_goes_takes_its_request_along() -> None:
    has_gone = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection:
            head_of(connection)
            if not connection.recv(1):
                has_gone.set()

    with server(talk) as inner, before(inner, ManualClock(), Limits(60)) as port:
        client = ask(port)
        time.sleep(0.1)
        client.close()
        assert has_gone.wait(10)
