"""The rules between the keys of the section `gateway`."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.gateway import Gateway


def gateway_problems(gateway: Gateway) -> Iterator[Problem]:
    for key in ("hosts", "origins", "trusted_proxies", "metrics_from"):
        written: tuple[str, ...] = getattr(gateway, key)
        for index, text in enumerate(written):
            if text in written[:index]:
                yield Problem(f"{text} is here twice", "keep one of them", f"gateway.{key}[{index}]")
    if len(gateway.origins) > 1 and "*" in gateway.origins:
        index = gateway.origins.index("*")
        yield Problem("* allows every page, and others stand beside it", "keep one", f"gateway.origins[{index}]")
    tls = gateway.tls
    if tls and tls.certificate == tls.key:
        yield Problem("is the certificate's file", "keep the key in a file of its own, mode 0600", "gateway.tls.key")
