"""A site at AWS with edges, as a test asks it: its spec, its keys, and questions through its load balancer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_site import AwsSite, spec

from arriero.spec.model import Spec
from way_in import connected, key_and_hashes

ACCOUNT = "123456789012"
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/0a1b"
HOST = "llm.example.com"
QUESTION = {"model": "llama2", "prompt": "hello", "stream": False}


class Keyed:
    """The secret that holds the keys, and the text of one of them."""

    def __init__(self, site: AwsSite, folder: Path) -> None:
        self.key, self.hashes = key_and_hashes(folder)
        made = site.client("secretsmanager").create_secret(Name="llm/keys", SecretString=self.hashes)
        self.arn = str(made["ARN"])

    def wish(self, count: int = 2, **more: Any) -> Spec:
        alb = {"hosts": [HOST], "certificates": [CERTIFICATE], "edges": {"count": count, "keys": [self.arn]}}
        own = {"deploy": {"stop_within": "5s"}, "accounts": {"aws": ACCOUNT}, **more}
        return spec(**own, ingress={"alb": alb})


def through(site: AwsSite) -> http.client.HTTPSConnection:
    """A connection to the load balancer, as a client has it who knows its name."""
    found = site.read().find("aws.load_balancer")
    assert found is not None
    return connected(site.folder / "balancers", str(found.details["dns_name"]))


def asked(site: AwsSite, key: str = "", path: str = "/api/generate", **more: Any) -> http.client.HTTPResponse:
    connection = through(site)
    headers = {"Content-Type": "application/json", "Host": HOST, **({"Authorization": f"Bearer {key}"} if key else {})}
    connection.request("POST", path, json.dumps({**QUESTION, **more}), headers)
    return connection.getresponse()


def processes(site: AwsSite, container: str) -> Mapping[int, str]:
    """The addresses of those that run, by their process."""
    return {row.pid: row.address for row in site.aws.containers() if row.container == container}
