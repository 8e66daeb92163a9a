"""What is to be done with the nginx on this machine, and what is in its way, in exact words. No nginx is run."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from arriero.clouds.local.process import Process
from arriero.deploy import edge
from arriero.deploy.nginx import here, process
from arriero.deploy.nginx.wanted import Running, Wanted, change, dates, first_difference, is_asked_for, url_of
from arriero.deploy.project import Project
from arriero.spec.ingress import Nginx
from arriero.spec.model import Spec

TLS = {"tls": {"certificate": "tls.crt", "key": "tls.key"}}
WISH = Wanted("listen 1;\n", "http://127.0.0.1:8080", ("127.0.0.1:8080",), (), 30.0)
RUNNING = Running(WISH.url, WISH.doors, (), (), 30.0, Process(1, 1))


@pytest.mark.parametrize(
    ("wish", "running", "is_alive", "expected"),
    [
        (None, None, False, None),
        (None, RUNNING, True, ("remove", "the spec wants none here")),
        (WISH, None, False, ("create", "nothing is there")),
        (WISH, RUNNING, False, ("create", "its process has ended")),
        (WISH, RUNNING, True, None),
        (
            replace(WISH, configuration="listen 2;\n"),
            RUNNING,
            True,
            ("update", "its configuration differs: + listen 2;"),
        ),
        (
            replace(WISH, doors=("0.0.0.0:8080",), configuration="listen 2;\n"),
            RUNNING,
            True,
            ("replace", "127.0.0.1:8080 becomes 0.0.0.0:8080, which nginx can't do while it runs"),
        ),
        (
            replace(WISH, doors=("127.0.0.1:8081",), configuration="listen 2;\n"),
            RUNNING,
            True,
            ("update", "its configuration differs: + listen 2;"),
        ),
    ],
)
def test_what_is_to_be_done(
    wish: Wanted | None, running: Running | None, is_alive: bool, expected: tuple[str, str] | None
) -> None:
    found = change(wish, running, is_alive, "listen 1;\n")
    assert (found and (found.action, found.reason)) == expected


def test_a_renewed_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "tls.crt"
    file.write_text("one")
    running = replace(RUNNING, reads=(str(file),), dates=dates([str(file)]))
    wish = replace(WISH, reads=running.reads)
    assert change(wish, running, True, WISH.configuration) is None
    file.write_text("another")
    found = change(wish, running, True, WISH.configuration)
    assert found
    assert (found.action, found.reason) == ("update", "tls.crt was renewed")


def test_a_difference_is_told_by_one_line() -> None:
    assert first_difference("a;\nb;\n", "a;\n") == "- b;"
    assert first_difference("a;\nb;\n", "b;\na;\n") == "the order of its lines"
    assert len(first_difference("", "x" * 200)) == 80


@pytest.mark.parametrize(
    ("values", "hosts", "url"),
    [
        ({}, (), "http://127.0.0.1:8080"),
        ({"address": "0.0.0.0", "port": 80}, ("llm.example.com",), "http://127.0.0.1:80"),
        ({"port": 443, **TLS}, ("llm.example.com", "b.example.com"), "https://llm.example.com"),
        ({"port": 8443, **TLS}, ("llm.example.com",), "https://llm.example.com:8443"),
        ({"port": 8443, "address": "10.0.0.5", **TLS}, (), "https://10.0.0.5:8443"),
    ],
)
def test_where_clients_go(values: dict[str, object], hosts: tuple[str, ...], url: str) -> None:
    assert url_of(Nginx.model_validate(values), hosts) == url


def test_what_is_in_the_way_is_told_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path / "arriero.yaml")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(process, "_SYSTEM_FOLDERS", ())
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        nginx = Nginx.model_validate({"run": "here", "port": port, **TLS})
        found = [str(problem) for problem in here.obstacles(project, nginx)]
    assert found == [
        "ingress.nginx.run: there is no nginx in the PATH of this machine; install it (Debian, Ubuntu, Fedora: the "
        "package nginx; Alpine: apk add nginx), or remove the line",
        f"ingress.nginx.tls.certificate: there is no file tls.crt; put it at {tmp_path}/tls.crt, or correct the path",
        f"ingress.nginx.tls.key: there is no file tls.key; put it at {tmp_path}/tls.key, or correct the path",
        f"ingress.nginx.port: somebody listens at 127.0.0.1:{port} already; name another port, or stop what listens "
        "there",
    ]
    far = Nginx.model_validate({"run": "here", "address": "192.0.2.1", "redirect_from": 8081, **TLS})
    assert str(here.obstacles(project, far)[-1]) == (
        "ingress.nginx.address: 192.0.2.1 is no address of this machine; write one of this machine's, or 0.0.0.0 for "
        "all"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_port_without_rights_for_it_is_told_with_what_gives_them() -> None:
    assert str(here._closed("0.0.0.0:443", PermissionError(13, "Permission denied"), "ingress.nginx.port")) == (
        "ingress.nginx.port: port 443 needs rights that you have not; name one above 1023, or allow it: "
        "sysctl net.ipv4.ip_unprivileged_port_start=443"
    )


def test_nginx_gets_no_login_and_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "one")
    monkeypatch.setenv("NGINX", "3;")  # by which nginx is handed sockets
    monkeypatch.setenv("TZ", "UTC")
    assert process._environment().keys() <= {"LANG", "LC_ALL", "OPENSSL_CONF", "TZ"}
    assert process._environment()["TZ"] == "UTC"


@pytest.mark.parametrize(("run", "kept"), [("here", {8080, 8081}), ("elsewhere", set())])
def test_a_gateway_that_gives_way_leaves_nginx_its_ports(run: str, kept: set[int]) -> None:
    spec = Spec.model_validate(
        {
            "name": "llm",
            "image": "acme/llm",
            "models": ["phi"],
            "sites": {"desk": {"cloud": "local", "hosts": ["127.0.0.1"]}},
            "gateway": {"keys": "keys.json"},
            "ingress": {"nginx": {"run": run, "redirect_from": 8081, **TLS}},
        }
    )
    assert edge._kept_ports(spec) == kept
    assert is_asked_for(spec) is bool(kept)
