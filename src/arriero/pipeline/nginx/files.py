"""One whole `nginx.conf`: what may pass to the gateways, how, and what is answered here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from arriero.control import keys as keys_file
from arriero.control.settings import Limits
from arriero.errors import Problem, Refused
from arriero.pipeline.nginx import errors
from arriero.pipeline.nginx.passing import locations, passing
from arriero.pipeline.nginx.words import quoted
from arriero.spec.ingress import Nginx
from arriero.spec.model import Spec

FILE = "nginx.conf"
NEXT = f"""\
In that folder, look:  nginx -t -p "$PWD" -c {FILE} -e stderr
Serve:                 nginx -p "$PWD" -c {FILE} -e stderr -g 'daemon off;'
Take up a new file:    nginx -s reload -p "$PWD" -c {FILE} -e stderr"""
# The gateway closes a connection that nobody used for so long; nginx must have let go of it before.
KEEP_SECONDS = Limits().idle_seconds / 2
# What one client and one request take of a worker.
CONNECTIONS_A_CLIENT = 2


def files(spec: Spec, home: Path, own: str = "") -> Mapping[str, str]:
    """One file without a secret; `own` is where the spec's own gateway listens, if not where the spec says.

    Raises Refused where the spec has no nginx; `refuse` looks at the keys.
    """
    return {FILE: "\n".join(_lines(spec, _nginx(spec), home, own)) + "\n"}


def refuse(spec: Spec, folder: Path) -> None:
    """Raises Refused or KeysError if the gateway would ask nobody for a key, and the spec does not say so."""
    keys = spec.gateway.keys
    if _nginx(spec).without_keys or not keys:
        return
    path = folder / Path(keys).expanduser()
    if not path.exists() or not keys_file.read(path):
        what = f"{keys} holds no API key, and to the gateway whoever comes through nginx is this machine"
        raise Refused(Problem(what, f"make one with: arriero keys add NAME --keys {path}", "gateway.keys"))


def _nginx(spec: Spec) -> Nginx:
    if spec.ingress.nginx is None:
        remedy = "write one, as `arriero docs ingress` shows it"
        raise Refused(Problem("there is no such section in the spec", remedy, "ingress.nginx"))
    return spec.ingress.nginx


def _lines(spec: Spec, nginx: Nginx, home: Path, own: str) -> Iterator[str]:
    connections = CONNECTIONS_A_CLIENT * spec.gateway.limits.connections + 64
    yield f"# nginx before the gateways of {spec.name}. Made by arriero: change the spec, not this file."
    yield "# Paths start at this folder."
    yield "worker_processes auto;"
    yield f"worker_rlimit_nofile {2 * connections};"
    yield "pid nginx.pid;"
    yield "error_log stderr warn;"
    yield "events {"
    yield f"    worker_connections {connections};"
    yield "}"
    yield "http {"
    yield from _http(spec, nginx, own)
    if nginx.redirect_from is not None:
        yield from _redirect(spec, nginx)
    yield "    server {"
    yield from _listener(spec, nginx, home)
    yield from passing(spec, nginx, home)
    yield from errors.pages()
    yield from locations(spec, nginx)
    yield "    }"
    yield "}"


def _http(spec: Spec, nginx: Nginx, own: str) -> Iterator[str]:
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        yield f"    {kind}_temp_path {kind}.tmp;"
    yield "    default_type application/json;"
    yield "    server_tokens off;"
    yield "    tcp_nodelay on;"
    # A compressor holds back what it has not filled a block with.
    yield "    gzip off;"
    yield from _log()
    yield "    # A client's own request id if it is a sane one, as the gateway has it; else nginx's."
    yield "    map $http_x_request_id $arriero_request_id {"
    yield "        default $request_id;"
    yield "        '~^[A-Za-z0-9._:/+=-]{1,128}$' $http_x_request_id;"
    yield "    }"
    yield from _limits(nginx)
    yield from errors.maps()
    yield from _upstream(nginx, own or f"{spec.gateway.address}:{spec.gateway.port}")


def _log() -> Iterator[str]:
    """Neither query strings nor headers with keys. All in quotes: a status may be 000, which is no number in JSON."""
    fields = {
        "time": "time_iso8601", "request_id": "arriero_request_id", "client": "remote_addr",
        "method": "request_method", "path": "uri", "status": "status", "received_bytes": "request_length",
        "sent_bytes": "bytes_sent", "seconds": "request_time", "first_byte_seconds": "upstream_header_time",
        "gateway": "upstream_addr", "gateway_status": "upstream_status", "tls": "ssl_protocol",
    }  # fmt: skip
    pairs = ",".join(f'"{name}":"${variable}"' for name, variable in fields.items())
    yield f"    log_format arriero escape=json '{{{pairs}}}';"
    yield "    access_log access.log arriero;"


def _limits(nginx: Nginx) -> Iterator[str]:
    who, limits = "$binary_remote_addr", nginx.limits
    if limits.by == "key":
        shown = "$http_authorization$http_x_api_key$http_api_key"
        yield f"    map {shown} $arriero_client {{"
        yield f"        default {shown};"
        yield f"        '' {who};"
        yield "    }"
        who = "$arriero_client"
    yield f"    limit_req_zone {who} zone=arriero_requests:10m rate={limits.requests_a_minute}r/m;"
    yield f"    limit_conn_zone {who} zone=arriero_open:10m;"
    # The error log holds whole request lines: a client's own doing is not worth one.
    for kind in ("req", "conn"):
        yield f"    limit_{kind}_status 429;"
        yield f"    limit_{kind}_log_level info;"


def _upstream(nginx: Nginx, own: str) -> Iterator[str]:
    address, _, port = own.rpartition(":")
    here = f"127.0.0.1:{port}" if address == "0.0.0.0" else own
    yield "    upstream arriero_gateways {"
    yield "        zone arriero_gateways 256k;"
    # Streams last: who has fewest open ones has most to spare.
    yield "        least_conn;"
    for server in nginx.gateways or (here,):
        yield f"        server {server} max_fails=2 fail_timeout=5s;"
    yield "        keepalive 64;"
    yield f"        keepalive_timeout {KEEP_SECONDS:g}s;"
    yield "        keepalive_requests 1000000;"
    yield "    }"


def _redirect(spec: Spec, nginx: Nginx) -> Iterator[str]:
    """308 keeps method and body. A foreign name in Host is sent nowhere."""
    port, hosts = "" if nginx.port == 443 else f":{nginx.port}", " ".join(spec.gateway.hosts)
    yield "    server {"
    yield f"        listen {nginx.address}:{nginx.redirect_from};"
    if hosts:
        yield f"        server_name {hosts};"
    yield f"        location / {{ return 308 https://$host{port}$request_uri; }}"
    yield "    }"
    if hosts:
        yield "    server {"
        yield f"        listen {nginx.address}:{nginx.redirect_from} default_server;"
        yield '        location / { return 421 \'{"error":"not a name of this server"}\'; }'
        yield "    }"


def _listener(spec: Spec, nginx: Nginx, home: Path) -> Iterator[str]:
    tls = nginx.tls
    yield f"        listen {nginx.address}:{nginx.port}{' ssl' if tls else ''};"
    if spec.gateway.hosts:
        yield f"        server_name {' '.join(spec.gateway.hosts)};"
    if tls:
        yield f"        ssl_certificate {quoted(home, tls.certificate)};"
        yield f"        ssl_certificate_key {quoted(home, tls.key)};"
        yield "        ssl_protocols TLSv1.2 TLSv1.3;"
        yield "        ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;"
        yield "        ssl_session_cache shared:arriero:10m;"
        # A ticket's key that is never renewed would open what was recorded long ago.
        yield "        ssl_session_tickets off;"
        if tls.client_ca:
            yield f"        ssl_client_certificate {quoted(home, tls.client_ca)};"
            yield "        ssl_verify_client on;"
    for source in nginx.trusted_proxies:
        yield f"        set_real_ip_from {source};"
    if nginx.trusted_proxies:
        yield "        real_ip_header X-Forwarded-For;"
        yield "        real_ip_recursive on;"
