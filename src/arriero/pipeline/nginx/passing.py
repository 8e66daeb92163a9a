"""What passes to the gateways, and how: at once in both directions, however long an answer is silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from arriero.control.settings import Limits
from arriero.pipeline.nginx.words import quoted
from arriero.spec.ingress import Nginx
from arriero.spec.model import Spec

# Longer than a day: an answer that is silent is the gateway's to judge.
SILENT_HOURS = 25
PROBED = ("/", "/healthz", "/readyz")
PASSED = ("/api/", "/v1/")
BLOBS = "/api/blobs/"


def passing(spec: Spec, nginx: Nginx, home: Path) -> Iterator[str]:
    """How a request is passed on; holds for all locations of the server."""
    limits = Limits()
    yield f"        client_max_body_size {int(spec.gateway.limits.body)};"
    yield f"        client_header_timeout {limits.header_seconds:g}s;"
    yield f"        client_body_timeout {limits.body_seconds:g}s;"
    yield f"        send_timeout {limits.send_seconds:g}s;"
    yield "        large_client_header_buffers 8 16k;"
    yield "        proxy_http_version 1.1;"
    yield "        proxy_buffering off;"
    yield "        proxy_request_buffering off;"
    yield "        proxy_buffer_size 16k;"
    yield "        proxy_buffers 8 16k;"
    yield f"        proxy_connect_timeout {limits.connect_seconds:g}s;"
    yield f"        proxy_read_timeout {SILENT_HOURS}h;"
    yield f"        proxy_send_timeout {SILENT_HOURS}h;"
    yield "        # Only what no gateway has begun goes to the next: a question is not asked twice."
    yield "        proxy_next_upstream error timeout;"
    yield "        proxy_next_upstream_tries 2;"
    yield "        # What stands behind a gateway gives nginx no orders."
    yield "        proxy_ignore_headers X-Accel-Buffering X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate"
    yield "            X-Accel-Charset Cache-Control Expires Set-Cookie Vary;"
    yield "        proxy_set_header Host $host;"
    yield '        proxy_set_header Connection "";'
    yield "        proxy_set_header X-Request-Id $arriero_request_id;"
    yield "        # Set, not added to: what a client says of its own address is not believed."
    yield "        proxy_set_header X-Forwarded-For $remote_addr;"
    yield '        proxy_set_header Forwarded "";'
    if spec.gateway.tls and nginx.gateways_ca:
        yield f"        proxy_ssl_name {spec.gateway.hosts[0]};"
        yield "        proxy_ssl_server_name on;"
        yield "        proxy_ssl_protocols TLSv1.2 TLSv1.3;"
        yield f"        proxy_ssl_trusted_certificate {quoted(home, nginx.gateways_ca)};"
        yield "        proxy_ssl_verify on;"
        yield "        proxy_ssl_verify_depth 3;"


def locations(spec: Spec, nginx: Nginx) -> Iterator[str]:
    """The paths that pass. The gateway tells its figures to this machine, which nginx is, so /metrics does not."""
    to = f"proxy_pass {'https' if spec.gateway.tls else 'http'}://arriero_gateways;"
    for path in PROBED:
        yield f"        location = {path} {{ {to} }}"
    for path in PASSED:
        yield from _limited(path, nginx, to)
    yield "        # Else nginx would send clients to the same with a slash."
    for path in (*PASSED, BLOBS):
        yield f"        location = {path.rstrip('/')} {{ return 404; }}"
    yield from _limited("= /api/delete", nginx, "proxy_next_upstream off;", to)
    yield "        # Models' files have no bound: the gateway passes them on as they come."
    yield from _limited(BLOBS, nginx, "client_max_body_size 0;", to)
    yield "        location / { return 404; }"


def _limited(path: str, nginx: Nginx, *more: str) -> Iterator[str]:
    burst = f" burst={nginx.limits.burst} nodelay" if nginx.limits.burst else ""
    yield f"        location {path} {{"
    yield f"            limit_req zone=arriero_requests{burst};"
    yield f"            limit_conn arriero_open {nginx.limits.connections};"
    for line in more:
        yield f"            {line}"
    yield "        }"
