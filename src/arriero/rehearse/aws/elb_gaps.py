"""What moto's load balancers lack, filled: the attributes that AWS shows from the beginning, certificates by reference,
an address that answers, and what health checks have found.
"""

from __future__ import annotations

import json
import re
from typing import Any

import moto.elbv2.models
import moto.wafv2.responses
from moto.elb.exceptions import CertificateNotFoundException

from arriero.rehearse.aws.attaching import Attaching
from arriero.rehearse.aws.balancers import Balancers

# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
_DEFAULTS = {
    "access_logs.s3.enabled": "false",
    "client_keep_alive.seconds": "3600",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
}
_CERTIFICATE = re.compile(r"arn:aws:acm:([a-z0-9-]+):([0-9]{12}):certificate/.+")


def fill(balancers: Balancers, attaching: Attaching) -> None:
    """To be called before the first backend is made; doing it twice does no harm."""
    _make(balancers)
    _tell_health(balancers, attaching)
    _take_certificates()
    _list_resources_of_web_acls()


def _make(balancers: Balancers) -> None:
    theirs: Any = moto.elbv2.models.ELBv2Backend
    make = getattr(theirs.create_load_balancer, "whole", theirs.create_load_balancer)
    remove = getattr(theirs.delete_load_balancer, "whole", theirs.delete_load_balancer)

    def create_load_balancer(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
        made = make(self, name, *arguments, **options)
        made.attrs = {**_DEFAULTS, **made.attrs, "load_balancing.cross_zone.enabled": "true"}
        made.dns_name = balancers.address(self.region_name, name)
        return made

    def delete_load_balancer(self: Any, arn: str) -> None:
        gone = self.load_balancers.get(arn)
        remove(self, arn)
        if gone is not None:
            balancers.release(self.region_name, gone.name)

    create_load_balancer.whole, delete_load_balancer.whole = make, remove  # type: ignore[attr-defined]
    theirs.create_load_balancer, theirs.delete_load_balancer = create_load_balancer, delete_load_balancer


def _tell_health(balancers: Balancers, attaching: Attaching) -> None:
    """Gap: every target is healthy at once. Here it is what the checks have found."""
    group: Any = moto.elbv2.models.FakeTargetGroup
    status: Any = moto.elbv2.models.FakeHealthStatus

    def health_for(self: Any, target: Any, _: Any) -> Any:
        name = target["Id"]
        port = str(self.targets.get(name, {}).get("Port", target.get("Port", self.port)))
        if name in self.targets:
            state = balancers.state(self.arn, name)
            reason = {"initial": "Elb.InitialHealthChecking", "unhealthy": "Target.FailedHealthChecks"}.get(state)
            return status(name, port, self.health_check_port, state, reason)
        if attaching.is_going(self.arn, name):
            return status(name, port, self.health_check_port, "draining", "Target.DeregistrationInProgress")
        return status(name, port, self.health_check_port, "unused", "Target.NotRegistered")

    group.health_for = health_for


def _take_certificates() -> None:
    """Gap: a listener's certificate must have been made in moto. Here those of the region and account are taken as
    there, as images in a registry are; those of another are refused, as AWS does.
    """

    def register_certificate(account_id: str, region: str, arn_certificate: str, arn_user: str) -> None:
        del arn_user
        if not _is_there(arn_certificate, region, account_id):
            raise CertificateNotFoundException

    def exists(self: Any, certificate_arn: str) -> bool:
        return _is_there(certificate_arn, self.region_name, self.account_id)

    models: Any = moto.elbv2.models
    models.register_certificate = register_certificate
    models.ELBv2Backend._certificate_exists = exists


def _is_there(arn: str, region: str, account: str) -> bool:
    found = _CERTIFICATE.fullmatch(arn)
    return bool(found and found.groups() == (region, account))


def _list_resources_of_web_acls() -> None:
    """Gap: ListResourcesForWebACL, by which community.aws.wafv2_resources compares."""

    def list_resources_for_web_acl(self: Any) -> Any:
        acl = self.wafv2_backend.wacls.get(json.loads(self.body)["WebACLArn"])
        return 200, {}, json.dumps({"ResourceArns": list(acl.associated_resources) if acl else []})

    responses: Any = moto.wafv2.responses.WAFV2Response
    responses.list_resources_for_web_acl = list_resources_for_web_acl
