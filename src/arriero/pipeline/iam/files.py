"""One IAM policy a part at AWS, one custom role at Azure, one more for who reads secrets there, and one for who gives
edges their identity.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from arriero.errors import Problem, Refused
from arriero.pipeline.iam import aws, azure
from arriero.spec.front_door import clouds_of
from arriero.spec.model import Spec

ROLE, SECRETS_ROLE, IDENTITY_ROLE = "azure-role.json", "azure-secrets-role.json", "azure-identity-role.json"
# Of a managed policy, blanks not counted:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MOST_CHARACTERS = 6144
NEXT = """\
AWS:    aws iam create-policy --policy-name NAME --policy-document file://aws-network.json   (each of the aws files)
        aws iam attach-role-policy --role-name DEPLOYER --policy-arn ARN
Azure:  az role definition create --role-definition @azure-role.json
        az role assignment create --assignee DEPLOYER --role NAME --scope /subscriptions/ID
        azure-secrets-role.json, where it is: the same, at each secret's own id: VAULT-ID/secrets/NAME
        azure-identity-role.json, where it is: the same, at the id of the edges' identity
Try:    arriero rehearse start --permissions DIR, then arriero up --rehearse"""


def files(spec: Spec, _home: Path) -> Mapping[str, str]:
    """Raises Refused where the spec does not pin the accounts, or a policy would be too long."""
    used = set(clouds_of(spec))
    problems = [*_unpinned(spec, used), *_unknown(spec)]
    if problems:
        raise Refused(problems)
    found: dict[str, str] = {}
    if "aws" in used:
        found |= {f"aws-{part}.json": _text(document) for part, document in aws.policies(spec).items()}
    if "azure" in used:
        found[ROLE] = _text(azure.role(spec))
        if reader := azure.secrets_role(spec):
            found[SECRETS_ROLE] = _text(reader)
        if giver := azure.identity_role(spec):
            found[IDENTITY_ROLE] = _text(giver)
    long = [
        name for name, text in found.items() if name.startswith("aws-") and len("".join(text.split())) > MOST_CHARACTERS
    ]
    if long:
        what = f"the policies {', '.join(long)} would be longer than the {MOST_CHARACTERS} characters that AWS takes"
        raise Refused(Problem(what, "split the sites over several specs", "sites"))
    return found


def _unpinned(spec: Spec, used: Collection[str]) -> Iterator[Problem]:
    for cloud, example, pinned in (
        ("aws", "'123456789012'", spec.accounts.aws),
        ("azure", "00000000-0000-0000-0000-000000000001", spec.accounts.azure),
    ):
        if cloud in used and not pinned:
            what = "is missing, and permissions are given in one account"
            yield Problem(what, f"write it, like accounts: {{{cloud}: {example}}}", f"accounts.{cloud}")


def _unknown(spec: Spec) -> Iterator[Problem]:
    """What the tables of calls don't hold yet: a policy without it would be found wanting in mid-deployment."""
    for name in spec.sites:
        network = spec.site(name).network
        if network.vpc:
            what = f"{network.vpc} is yours and carries no tag of the service, by which these policies know a network"
            yield Problem(what, "write a policy for the security groups there yourself", f"sites.{name}.network.vpc")


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"
