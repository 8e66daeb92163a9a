"""`arriero ui` behind Debian's nginx with TLS, as documented, below a path and at the root, in a real browser.

The tests go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import contextlib
import getpass
import http.client
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from browser import Served, Watched, chromium, tab
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from places import ROOT, Place, free_port, open_spec, wait_for
from playwright.sync_api import Browser, expect

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
ROLES = ("viewer", "admin")
NAME = "fleet.example.com"
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 1}
sites:
  aws-east:   {cloud: aws, region: us-east-1}
"""
CONFIGURATION = """\
%(user)s
daemon off;
worker_processes 1;
pid %(folder)s/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path %(folder)s/body;
  proxy_temp_path %(folder)s/proxy;
  fastcgi_temp_path %(folder)s/fastcgi;
  uwsgi_temp_path %(folder)s/uwsgi;
  scgi_temp_path %(folder)s/scgi;
  server {
    listen 127.0.0.1:%(port)d ssl;
    ssl_certificate %(folder)s/tls.crt;
    ssl_certificate_key %(folder)s/tls.key;
%(locations)s
  }
}
"""

pytestmark = [
    pytest.mark.story,
    pytest.mark.wide,
    pytest.mark.long,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx)"),
]


@dataclass
class Front:
    """nginx before two pages: below /arriero/ one that trusts it, at the root one that does not."""

    port: int
    keys: Mapping[str, str]

    def url(self, path: str) -> str:
        return f"https://{NAME}:{self.port}{path}"

    def ask(
        self, method: str, path: str, *, body: str = "", source: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """The status, the head and the text; `source` is the address of who asks."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(source, 0), context=context
        )
        given = {"Host": f"{NAME}:{self.port}", "Origin": self.url(""), "Accept": "text/html"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body or None, given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, "" if answer.status == 101 else answer.read().decode()
        finally:
            connection.close()

    def log_in(self, below: str, key: str, **more: str) -> int:
        return self.ask("POST", f"{below}/login", body=urlencode({"key": key}), **more)[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with contextlib.contextmanager(open_spec)(tmp_path_factory.mktemp("behind"), SPEC) as place:
        up = place.arriero("up", "--yes")
        assert up.code == 0, up.err
        yield place


@pytest.fixture(scope="module")
def front(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    keys = {role: place.arriero("keys", "add", role, "--role", role, "--json").json["key"] for role in ROLES}
    with contextlib.ExitStack() as ended:
        below = Served(place.folder, "--host", NAME, "--trusted-proxy", "127.0.0.1", prefix="/arriero")
        ended.callback(below.kill)
        root = Served(place.folder, "--host", NAME, prefix="")
        ended.callback(root.kill)
        front = Front(free_port(), keys)
        locations = [
            documented(below.port),
            documented(root.port).replace("location /arriero/", "location /"),
            documented(below.port).replace("location /arriero/", "location /wrong/"),
            documented(below.port).replace("location /arriero/", "location /cut/").replace(";", "/;", 1),
        ]
        folder = tmp_path_factory.mktemp("nginx")
        process = nginx(folder, front.port, locations)
        ended.callback(process.wait)
        ended.callback(process.terminate)
        assert wait_for(lambda: is_there(front), 20), (folder / "said").read_text()
        yield front


def documented(port: int) -> str:
    """The location that the documentation gives, with the page's port of now."""
    found = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/page.md").read_text(), re.DOTALL)
    assert found
    return found[1].replace("11480", str(port))


def nginx(folder: Path, port: int, locations: list[str]) -> subprocess.Popen[bytes]:
    write_certificate(folder)
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    told = {"user": user, "folder": folder, "port": port, "locations": "\n".join(locations)}
    (folder / "nginx.conf").write_text(CONFIGURATION % told)
    with (folder / "said").open("wb") as said:
        words = [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def write_certificate(folder: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "tls.crt").write_bytes(made.public_bytes(pem))
    (folder / "tls.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


def is_there(front: Front) -> bool:
    with contextlib.suppress(OSError):
        return front.ask("GET", "/arriero/healthz")[0] == 200
    return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as browser:
        yield browser


@pytest.mark.parametrize("below", ["/arriero", ""])
def test_the_page_lives_behind_nginx(browser: Browser, front: Front, below: str) -> None:
    watched = tab(browser, trusts_all=True)
    sockets: list[str] = []
    page = watched.page
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto(front.url(f"{below}/"))
    assert page.url == front.url(f"{below}/login")
    page.get_by_label("API key").fill(front.keys["viewer"])
    page.get_by_role("button", name="Look").click()
    # What is seen each second, and what is asked, comes and goes by the socket.
    expect(page.get_by_text("Live: seen at")).to_be_visible()
    expect(page.locator("[data-site=aws-east] [data-at=state]")).to_have_text("serving")
    ask_a_model(watched, front)
    assert page.url == front.url(f"{below}/")
    assert {url.partition("?")[0] for url in sockets} == {
        f"wss://{NAME}:{front.port}{below}/_nicegui_ws/socket.io/",
    }
    assert (watched.complaints, watched.asked - {"data"}) == ([], {f"{NAME}:{front.port}"})
    [cookie] = [one for one in page.context.cookies() if one["name"] == "arriero_page"]
    assert (cookie["secure"], cookie["httpOnly"], cookie["path"]) == (True, True, below or "/")
    page.context.close()


def ask_a_model(watched: Watched, front: Front) -> None:
    page = watched.page
    page.get_by_label("Prompt").fill("Why two clouds?")
    page.get_by_label("API key with the role user or admin").fill(front.keys["admin"])
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#try [role=status]")).to_contain_text("at aws-east")
    assert page.locator("#try .answer").inner_text()


@pytest.mark.parametrize("path", ["/wrong/", "/wrong/login", "/cut/", "/cut/login"])
def test_a_path_that_is_not_the_pages_is_told_where_it_is(front: Front, path: str) -> None:
    where = "the page is at /arriero/, and a proxy has to pass that path on as it is"
    assert front.ask("GET", path)[::2] == (404, f"Nothing is here: {where}")


def test_without_its_last_slash_the_path_leads_there_too(front: Front) -> None:
    status, head, _ = front.ask("GET", "/arriero")
    assert (status, urlsplit(head["location"]).path) == (301, "/arriero/")


@pytest.mark.parametrize("below", ["/arriero", ""])
@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://127.0.0.1:80"])
def test_another_sites_page_reaches_nothing(front: Front, below: str, origin: str) -> None:
    assert front.ask("POST", f"{below}/login", body=urlencode({"key": front.keys["viewer"]}), Origin=origin)[::2] == (
        403, "this comes from another site's page",
    )  # fmt: skip
    assert socket_status(front, below, origin) == 403


def test_the_socket_opens_for_who_has_the_cookie_and_comes_from_the_page(front: Front) -> None:
    assert socket_status(front, "/arriero", front.url("")) == 101


def socket_status(front: Front, below: str, origin: str) -> int:
    """How a socket is answered to a browser that has logged in."""
    body = urlencode({"key": front.keys["viewer"]})
    cookie = front.ask("POST", f"{below}/login", body=body)[1]["set-cookie"].partition(";")[0]
    return front.ask(
        "GET", f"{below}/_nicegui_ws/socket.io/?EIO=4&transport=websocket",
        Origin=origin, Cookie=cookie, Connection="Upgrade", Upgrade="websocket",
        Sec_WebSocket_Version="13", Sec_WebSocket_Key="c29tZXRoaW5nIHJhbmRvbQ==",
    )[0]  # fmt: skip


def test_wrong_keys_are_counted_by_browser_where_the_proxy_is_trusted(front: Front) -> None:
    wrong = [front.log_in("/arriero", "wrong", source="127.0.0.2", X_Forwarded_For=f"192.0.2.{n}") for n in range(10)]
    assert set(wrong) == {403}
    # What they say of themselves is not believed.
    assert front.log_in("/arriero", front.keys["viewer"], source="127.0.0.2", X_Forwarded_For="192.0.2.99") == 429
    assert front.log_in("/arriero", front.keys["viewer"], source="127.0.0.3") == 303


def test_where_it_is_not_all_browsers_are_one(front: Front) -> None:
    wrong = [front.log_in("", "wrong", source="127.0.0.2", X_Forwarded_For=f"192.0.2.{n}") for n in range(10)]
    assert set(wrong) == {403}
    assert front.log_in("", front.keys["viewer"], source="127.0.0.3") == 429
