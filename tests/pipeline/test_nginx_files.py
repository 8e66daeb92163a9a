"""nginx's configuration from the spec: every variant is one that nginx takes, and unsafe ones are refused."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from certificates import Authority
from nginx_server import folder_of_nobody, needs_nginx, nginx_says, spec_of

from arriero.cli import main
from arriero.control import keys as keys_file
from arriero.control.keys import Key, make_lock
from arriero.control.settings import Limits
from arriero.errors import Refused
from arriero.gateway.access import guard
from arriero.gateway.words import paths
from arriero.gateway.words.dialects import error_body
from arriero.pipeline.nginx import errors, passing
from arriero.pipeline.nginx import files as nginx

OPEN = {"without_keys": True}
TLS = {"certificate": "a.pem", "key": "a.key"}
HTTPS = {"keys": "keys.json", "hosts": ["llm.example.com", "chat.example.com"]}
# The section ingress.nginx, the section gateway, and lines that have to be there.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "least": (OPEN, {}, ["listen 127.0.0.1:8080;", "server 127.0.0.1:11434 max_fails=2 fail_timeout=5s;"]),
    "own gateway everywhere": (OPEN, {"address": "0.0.0.0", "port": 9}, ["server 127.0.0.1:9 max_fails=2"]),
    "by key": (
        OPEN | {"limits": {"by": "key", "requests_a_minute": 7, "burst": 0, "connections": 3}},
        {},
        ["zone=arriero_requests:10m rate=7r/m;", "limit_req zone=arriero_requests;", "limit_conn arriero_open 3;"],
    ),
    "several": (
        OPEN | {"gateways": ["10.0.1.5:11434", "10.0.2.5:11434"]},
        {"limits": {"body": "1GiB", "connections": 9}},
        ["server 10.0.1.5:11434 max_fails", "client_max_body_size 1073741824;", "worker_connections 82;"],
    ),
    "https": (
        {"port": 8443, "tls": TLS, "redirect_from": 8000, "address": "0.0.0.0"},
        HTTPS,
        [
            "listen 0.0.0.0:8443 ssl;",
            "ssl_protocols TLSv1.2 TLSv1.3;",
            "server_name llm.example.com chat.example.com;",
            "return 308 https://$host:8443$request_uri;",
            "return 421",
        ],
    ),
    "https of everybody": (OPEN | {"tls": TLS, "redirect_from": 8000, "port": 443}, {}, ["https://$host$request_uri"]),
    "clients show certificates": (
        {"tls": TLS | {"client_ca": "authority.pem"}, "address": "0.0.0.0", "port": 8443},
        HTTPS,
        ['ssl_client_certificate "authority.pem";', "ssl_verify_client on;"],
    ),
    "behind a balancer": (
        {"address": "0.0.0.0", "trusted_proxies": ["10.0.0.0/8", "fd00::/8"]},
        HTTPS,
        ["set_real_ip_from 10.0.0.0/8;", "set_real_ip_from fd00::/8;", "real_ip_recursive on;"],
    ),
    "gateways with https": (
        {"gateways_ca": "authority.pem", "gateways": ["10.0.1.5:11434"]},
        HTTPS | {"tls": TLS},
        ["proxy_pass https://arriero_gateways;", "proxy_ssl_name llm.example.com;", "proxy_ssl_verify on;"],
    ),
}
IDLE = ["proxy_read_timeout 25h;", "proxy_send_timeout 25h;", "proxy_buffering off;", "proxy_request_buffering off;"]


def text_of(name: str) -> str:
    section, gateway, _ = VARIANTS[name]
    return dict(nginx.files(spec_of(section, **gateway), Path()))["nginx.conf"]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_has_its_lines_and_keeps_silent_streams(name: str) -> None:
    text = text_of(name)
    assert [line for line in (*VARIANTS[name][2], *IDLE) if line not in text] == []
    # Every other time that could end an answer is counted while a client reads or sends nothing at all.
    waits = dict(re.findall(r"^\s*(\w+_timeout) ([0-9]+)s;", text, re.MULTILINE))
    assert set(waits) == {
        "client_header_timeout", "client_body_timeout", "send_timeout", "proxy_connect_timeout", "keepalive_timeout"
    }  # fmt: skip
    assert 0 < int(waits["keepalive_timeout"]) < Limits().idle_seconds


@needs_nginx
@pytest.mark.parametrize("name", VARIANTS)
def test_nginx_takes_a_variant_without_a_word(name: str) -> None:
    section, gateway, _ = VARIANTS[name]
    with folder_of_nobody() as folder:
        Authority(folder).issue("llm.example.com", "a")
        # What listens below 1024 needs rights that nobody has.
        said = nginx_says(spec_of(section | {"port": max(section.get("port", 0), 1024)}, **gateway), folder)
    assert "[warn]" not in said


def test_errors_are_in_the_dialect_that_the_gateway_has_for_the_path() -> None:
    text = text_of("least")
    for status, message in errors.MESSAGES.items():
        [block] = re.findall(rf"map \$uri \$arriero_{status} \{{(.*?)\n    \}}", text, re.DOTALL)
        rules = re.findall(r"(default|'~[^']+') '(.*)';", block)
        for path in (*paths._RULES, "/v1/models/a", "/api/blobs/b", "/v1/unknown", "/unknown"):
            said = next(body for rule, body in (*rules[1:], rules[0]) if fits(rule, path))
            assert said == error_body(paths.dialect_of(path), status, message).decode().strip(), path


def fits(rule: str, path: str) -> bool:
    return rule == "default" or re.search(rule.strip("'~"), path) is not None


def test_every_path_of_a_client_passes_and_no_other() -> None:
    known = {*paths._RULES, *paths._PREFIXES} - guard.METRICS_PATHS
    assert {path for path in known if not path.startswith(passing.PASSED)} == set(passing.PROBED)


def test_a_path_that_nginx_can_not_read_is_refused() -> None:
    tls = {"certificate": "a$b.pem", "key": 'c"d.key'}
    with pytest.raises(Refused, match=r"nginx can't read a path like 'a\$b.pem'"):
        nginx.files(spec_of(OPEN | {"tls": tls}), Path())
    text = dict(nginx.files(spec_of(OPEN | {"tls": tls | {"certificate": "a b.pem"}}), Path("..")))["nginx.conf"]
    assert 'ssl_certificate "../a b.pem";' in text
    assert 'ssl_certificate_key "../c\\"d.key";' in text


SPEC = "name: llm\nimage: acme/ollama\nmodels: [llama2]\nsites: {a: {cloud: aws, region: us-east-1}}\n"


def test_an_export_needs_a_key_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "arriero.yaml"
    export = ["export", "nginx", "--out", "deep/here"]

    def said() -> str:
        assert main.run(export) == 1
        assert not (tmp_path / "deep").exists()
        return capsys.readouterr().err.strip()

    spec.write_text(SPEC)
    assert said() == (
        "ingress.nginx: there is no such section in the spec; write one, as `arriero docs ingress` shows it"
    )
    spec.write_text(SPEC + "gateway: {keys: keys.json}\ningress: {nginx: {port: 8081}}\n")
    expected = (
        "gateway.keys: keys.json holds no API key, and to the gateway whoever comes through nginx is this machine; "
        "make one with: arriero keys add NAME --keys "
    )
    assert said().startswith(expected)
    keys_file.write(tmp_path / "keys.json", ())
    assert said().startswith(expected)
    keys_file.write(tmp_path / "keys.json", [Key("app", (make_lock()[1],), datetime(2026, 1, 1, tzinfo=UTC))])
    assert main.run(export) == 0
    assert main.run([*export, "--check"]) == 0
