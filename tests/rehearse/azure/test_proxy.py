"""The way in fails closed, and asks for a token."""

from __future__ import annotations

import json
import socket
import ssl

import pytest
from running_azure import Azure

from arriero.rehearse.azure.world import SUBSCRIPTION


def connect(azure: Azure, line: str) -> tuple[socket.socket, bytes]:
    connection = socket.create_connection(("127.0.0.1", azure.emulator.port), timeout=5)
    connection.sendall(line.encode() + b"\r\n\r\n")
    return connection, connection.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("asked", "logged"),
    [
        ("CONNECT example.com:443", "example.com:443"),
        ("CONNECT management.azure.com.evil.test:443", "management.azure.com.evil.test:443"),
        ("CONNECT management.azure.com:80", "management.azure.com:80"),
        ("CONNECT 169.254.169.254:443", "169.254.169.254:443"),
        ("GET http://management.azure.com/", "management.azure.com"),
        # The address of a webhook is a secret: who has it may post.
        ("POST http://me:word@hooks.example.com:81/T0/of-a-webhook?key=one", "hooks.example.com:81"),
        ("POST /T0/of-a-webhook", ""),
    ],
)
def test_every_other_host_is_answered_403_and_its_name_logged(azure: Azure, asked: str, logged: str) -> None:
    connection, status = connect(azure, f"{asked} HTTP/1.1")
    connection.close()
    assert status == b"HTTP/1.1 403 Forbidden"
    (said,) = [json.loads(one) for one in (azure.folder / "requests.jsonl").read_text().splitlines()]
    assert (said["status"], said["name"], said["writes"]) == (403, logged, False)


def asked(azure: Azure, host: str, request: str) -> bytes:
    connection, status = connect(azure, f"CONNECT {host}:443 HTTP/1.1")
    assert status == b"HTTP/1.1 200 Connection established"
    context = ssl.create_default_context(cafile=azure.emulator.environment()["REQUESTS_CA_BUNDLE"])
    with context.wrap_socket(connection, server_hostname=host) as secure:
        secure.sendall(request.replace("\n", "\r\n").encode())
        answer = b""
        while more := secure.recv(65536):
            answer += more
    return answer


@pytest.mark.parametrize("authorization", ["", "Authorization: Bearer a.b.c\n", "Authorization: Basic x\n"])
def test_without_our_token_nothing_is_answered(azure: Azure, authorization: str) -> None:
    request = f"GET /subscriptions?api-version=2022-12-01 HTTP/1.1\n{authorization}Connection: close\n\n"
    assert asked(azure, "management.azure.com", request).startswith(b"HTTP/1.1 401 ")


def test_another_application_is_not_found(azure: Azure) -> None:
    tenant = azure.emulator.environment()["AZURE_TENANT"]
    form = "client_id=33333333-3333-3333-3333-333333333333&client_secret=x"
    head = f"POST /{tenant}/oauth2/v2.0/token HTTP/1.1\nContent-Length: {len(form)}\nConnection: close\n\n"
    answer = asked(azure, "login.microsoftonline.com", head + form)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"AADSTS700016" in answer


def test_a_body_that_is_no_json_is_refused_without_breaking_down(azure: Azure) -> None:
    tenant = azure.emulator.environment()["AZURE_TENANT"]
    secret = azure.emulator.environment()["AZURE_SECRET"]
    client = azure.emulator.environment()["AZURE_CLIENT_ID"]
    form = f"client_id={client}&client_secret={secret}"
    head = f"POST /{tenant}/oauth2/v2.0/token HTTP/1.1\nContent-Length: {len(form)}\nConnection: close\n\n"
    given = json.loads(asked(azure, "login.microsoftonline.com", head + form).split(b"\r\n\r\n", 1)[1])
    target = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg?api-version=2022-09-01"
    authorization = f"Authorization: Bearer {given['access_token']}"
    head = f"PUT {target} HTTP/1.1\n{authorization}\nContent-Length: 1\nConnection: close\n\n{{"
    answer = asked(azure, "management.azure.com", head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"InvalidRequestContent" in answer
