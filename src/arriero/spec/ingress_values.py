"""Single values of the section `ingress`, each with what is wrong about a bad one."""

from __future__ import annotations

import re

from arriero.spec import secret_values, values

CERTIFICATE_PATTERN = r"^arn:aws[a-z-]*:acm:([a-z0-9-]+):([0-9]{12}):certificate/[A-Za-z0-9-]+$"
WEB_ACL_PATTERN = r"^arn:aws[a-z-]*:wafv2:([a-z0-9-]+):([0-9]{12}):regional/webacl/([A-Za-z0-9_-]+)/[A-Za-z0-9-]+$"
TLS_POLICY_PATTERN = r"^ELBSecurityPolicy-[A-Za-z0-9-]+$"
IDENTITY_PATTERN = (
    "^/subscriptions/[0-9a-fA-F-]{36}/resource[gG]roups/[A-Za-z0-9._()-]{1,90}"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/[A-Za-z0-9_-]{3,128}$"
)
# A whole name of the DNS: Front Door takes none with a *, for which Azure makes no certificate.
DOOR_NAME_PATTERN = r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
FIREWALL_PATTERN = (
    "^/subscriptions/[0-9a-fA-F-]{36}/resource[gG]roups/[A-Za-z0-9._()-]{1,90}/providers/Microsoft.Network/"
    "[fF]ront[dD]oor[wW]eb[aA]pplication[fF]irewall[pP]olicies/[A-Za-z][A-Za-z0-9]{0,127}$"
)
# An ALB cuts a connection on which nothing was sent for so long; 60 s by default. Ollama sends nothing while it loads a
# model, which it gives up after five minutes (OLLAMA_LOAD_TIMEOUT).
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
DEFAULT_IDLE_SECONDS, LEAST_IDLE_SECONDS, MOST_IDLE_SECONDS = 60, 300, 4000
MOST_DRAIN_SECONDS = 3600
# Front Door's originResponseTimeoutSeconds: until an answer begins, and between two of its parts; 60 s by default.
# https://learn.microsoft.com/azure/frontdoor/troubleshoot-issues
LEAST_RESPONSE_SECONDS, MOST_RESPONSE_SECONDS = 16, 240


def certificate(value: object) -> str:
    example = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d"
    return _formed(value, CERTIFICATE_PATTERN, "the ARN of a certificate", example)


def web_acl(value: object) -> str:
    example = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/llm/0a1b2c3d"
    return _formed(value, WEB_ACL_PATTERN, "the ARN of a regional web ACL", example)


def tls_policy(value: object) -> str:
    return _formed(value, TLS_POLICY_PATTERN, "a policy of AWS", "ELBSecurityPolicy-TLS13-1-2-2021-06")


def aws_secret(value: object) -> str:
    """Never repeats what was written: it may be a key. One of Key Vault is refused with its place: `check_edges.py`."""
    if not _is(value, secret_values.PATTERN):
        what = "is no secret of AWS; write the ARN of one in Secrets Manager or of a parameter of SSM"
        raise ValueError(f"{what}, like {secret_values.ARN_EXAMPLE}")
    return str(value)


def key_vault_secret(value: object) -> str:
    """Never repeats what was written: it may be a key."""
    example = "https://llm-vault.vault.azure.net/secrets/llm-keys"
    if _is(value, secret_values.ADDRESS_PATTERN):
        return str(value)
    if _is(value, secret_values.PATTERN):
        raise ValueError(
            f"is kept at AWS, and Container Apps read from Key Vault only; write an address like {example}"
        )
    raise ValueError(f"is no secret of Key Vault; write the address of one, like {example}")


def identity(value: object) -> str:
    example = (
        "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/llm/providers/"
        "Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
    )
    return _formed(value, IDENTITY_PATTERN, "the id of a user-assigned managed identity", example)


def _is(value: object, pattern: str) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(pattern, value))


def door_name(value: object) -> str:
    text = _text(value)
    if "*" in text:
        what = f"{values.shown(text)} has a *, and Azure makes no certificate for such names"
        raise ValueError(f"{what}; name each, like llm.example.com")
    return _formed(text, DOOR_NAME_PATTERN, "the whole name of a host", "llm.example.com").lower()


def firewall(value: object) -> str:
    example = (
        "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/llm/providers/"
        "Microsoft.Network/frontDoorWebApplicationFirewallPolicies/llm"
    )
    return _formed(value, FIREWALL_PATTERN, "the id of a WAF policy for Front Door", example)


def subscription_of(path: str) -> str:
    return path.split("/")[2]


def _formed(value: object, pattern: str, what: str, example: str) -> str:
    text = _text(value)
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{values.shown(text)} is not {what}; write it like {example}")
    return text


def client_range(value: object) -> str:
    """An IPv4 range of clients. Whether everybody may be one goes by what stands behind: `check_alb.py`."""
    return values.cidr_range(value)


def region_of(arn: str) -> str:
    return arn.split(":")[3]


def account_of(arn: str) -> str:
    return arn.split(":")[4]


def web_acl_name(arn: str) -> str:
    return arn.split("/")[2]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {values.kind(value)}; put it in quotes")
    return value
