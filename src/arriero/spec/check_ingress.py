"""The rules of the section `ingress`, and between it and the section `gateway`."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from arriero.errors import Problem
from arriero.spec.gateway import Gateway
from arriero.spec.ingress import Ingress, Nginx

AT = "ingress.nginx"


def ingress_problems(ingress: Ingress, gateway: Gateway) -> Iterator[Problem]:
    nginx = ingress.nginx
    if nginx is None:
        return
    yield from _key_problems(nginx, gateway)
    yield from _port_problems(nginx, gateway)
    yield from _tls_problems(nginx)
    yield from _gateway_tls_problems(nginx, gateway)
    for key in ("gateways", "trusted_proxies"):
        written: tuple[str, ...] = getattr(nginx, key)
        for index, text in enumerate(written):
            if text in written[:index]:
                yield Problem(f"{text} is here twice", "keep one of them", f"{AT}.{key}[{index}]")


def _key_problems(nginx: Nginx, gateway: Gateway) -> Iterator[Problem]:
    if nginx.without_keys and gateway.keys:
        yield Problem("the gateway has keys: gateway.keys names their file", "remove the line", f"{AT}.without_keys")
    elif nginx.without_keys and not _is_loopback(nginx):
        what = f"{nginx.address} can be reached from other machines, and everybody there could ask"
        yield Problem(what, "listen on 127.0.0.1, or name the keys' file: gateway.keys", f"{AT}.without_keys")
    elif not nginx.without_keys and not gateway.keys:
        what = "the spec names no file of API keys, and to the gateway whoever comes through nginx is this machine"
        remedy = "write gateway.keys: keys.json, or without_keys: true where nginx listens on loopback"
        yield Problem(what, remedy, AT)


def _port_problems(nginx: Nginx, gateway: Gateway) -> Iterator[Problem]:
    if nginx.redirect_from is not None and nginx.tls is None:
        yield Problem("there is no https to send clients to", "set tls, or remove the line", f"{AT}.redirect_from")
    elif nginx.redirect_from == nginx.port:
        yield Problem(f"{nginx.port} is the port of https", "name another port, like 80", f"{AT}.redirect_from")
    for key, port in (("port", nginx.port), ("redirect_from", nginx.redirect_from)):
        is_shared = nginx.address == gateway.address or "0.0.0.0" in (nginx.address, gateway.address)
        is_beside = nginx.run == "here" or not nginx.gateways
        if port == gateway.port and is_shared and is_beside:
            yield Problem(f"the gateway listens on {port}", "give one of them another port", f"{AT}.{key}")


def _tls_problems(nginx: Nginx) -> Iterator[Problem]:
    tls = nginx.tls
    if tls and tls.certificate == tls.key:
        yield Problem("is the certificate's file", "keep the key in a file of its own, mode 0600", f"{AT}.tls.key")
    if tls is None and not _is_loopback(nginx) and not nginx.trusted_proxies:
        what = f"{nginx.address} can be reached from other machines, and keys would cross the network in the clear"
        remedy = "set tls, or name what ends TLS before nginx in trusted_proxies"
        yield Problem(what, remedy, f"{AT}.address")


def _gateway_tls_problems(nginx: Nginx, gateway: Gateway) -> Iterator[Problem]:
    if gateway.tls is None:
        if nginx.gateways_ca:
            yield Problem("the gateway speaks http", "remove the line, or set gateway.tls", f"{AT}.gateways_ca")
        return
    if not nginx.gateways_ca:
        what = "the gateway speaks https, and nginx would believe any certificate"
        yield Problem(what, "name who signed it, like gateways_ca: ca.crt", AT)
    if not gateway.hosts:
        what = "nginx looks for the gateway's name in its certificate, and none is known"
        yield Problem(what, "write it, like gateway.hosts: [llm.example.com]", AT)
    if gateway.tls.client_ca:
        what = "the gateway asks clients for a certificate, and nginx has none"
        yield Problem(what, "let nginx ask them: move the line to ingress.nginx.tls", "gateway.tls.client_ca")


def _is_loopback(nginx: Nginx) -> bool:
    return IPv4Address(nginx.address).is_loopback
