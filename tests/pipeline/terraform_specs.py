"""The specs that are exported and read back, and a world in which nothing stands yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from terraform_blocks import DOOR_ID

from arriero.plan.model import Facts, SiteFacts
from arriero.plan.wanted import azure_files
from arriero.spec.model import Spec

SITES = {
    "aws-east": {"cloud": "aws", "region": "us-east-1"},
    "aws-china": {"cloud": "aws", "region": "cn-north-1", "role": "standby"},
    "azure-east": {"cloud": "azure", "region": "eastus"},
    "office": {"cloud": "local", "hosts": ["127.0.0.1"]},
}
SWEDEN = {"cloud": "azure", "region": "swedencentral"}
VIRTUAL = {"type": "T4", "machines": "virtual"}
GPUS = {"gpu": {"type": "T4", "count": 1}, "size": {"cpu": "4 vCPU", "memory": "14GiB"}}
MANAGED = {**GPUS, "gpu": {"type": "T4", "machines": "managed"}}
BIG = {"name": "llama2:70b", "from": "storage"}
ALB = {"hosts": ["llm.example.com"], "certificates": ["arn:aws:acm:us-east-1:123456789012:certificate/0a1b"]}
KEYS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"
EDGED = {**ALB, "edges": {"count": 3, "keys": [KEYS]}}
OPEN = {**EDGED, "scheme": "internet-facing", "allow_from": ["0.0.0.0/0"]}
WEST = {"cloud": "aws", "region": "us-west-2", "role": "standby"}


def in_west(arns: Sequence[str]) -> list[str]:
    return [*arns, *(each.replace("us-east-1", "us-west-2") for each in arns)]


OPEN_IN_BOTH = {**OPEN, "certificates": in_west(ALB["certificates"]), "edges": {"keys": in_west([KEYS])}}
IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/llm/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/llm-pull"
)
VAULT = "https://llm-vault.vault.azure.net/secrets"
AZURE_EDGES = {"keys": f"{VAULT}/llm-keys", "identity": IDENTITY.replace("llm-pull", "llm-edge")}
ALERTED = {
    "by": "cloud",
    "min": 2,
    "max": 5,
    "track": {"cpu": "60%", "memory": "80%"},
    "alerts": {"url": "https://ops.example.com/alerts", "key_file": "secrets/the key"},
}
# Everything that changes what the plan holds; each is exported and read back.
SPECS: Mapping[str, Mapping[str, Any]] = {
    "as it comes": {},
    "without a sidecar": {"sidecar": False},
    "a probe through the sidecar": {"deploy": {"hung_after": "30s"}},
    "a probe without a sidecar": {"sidecar": False, "deploy": {"hung_after": "30s"}},
    "a workspace keeps the lines": {"logs": {"to_workspace": True, "retention_days": 90}},
    "others may reach it": {"network": {"cidr": "10.9.0.0/20", "allow_from": ["198.51.100.0/24", "203.0.113.7/32"]}},
    "private, through a NAT gateway": {"network": {"mode": "private", "allow_from": ["10.8.0.0/24"]}},
    "private, through endpoints": {
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/llm:1",
        "network": {"mode": "private", "way_out": "endpoints"},
        "sites": {"aws-east": SITES["aws-east"]},
    },
    "private, through endpoints, behind a load balancer that the internet reaches": {
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/llm:1",
        "network": {"mode": "private", "way_out": "endpoints"},
        "sites": {"aws-east": SITES["aws-east"]},
        "ingress": {"alb": {**ALB, "scheme": "internet-facing", "allow_from": ["203.0.113.0/24"]}},
    },
    "a registry with a port": {"image": "registry.example.com:5000/acme/llm:1"},
    "more storage than is included": {"size": {"storage": "100GiB"}, "sites": {"aws-east": SITES["aws-east"]}},
    "values that Terraform would read": {"environment": {"A": 'say "${b}" and %{c}\\n', "B": "ünï → 1"}},
    "the cloud scales, and sleeps by its own clock": {
        "scale": {"by": "cloud", "track": {"cpu": "60%", "memory": "80%", "requests": 3}, "cooldown": {"in": "10m"}},
        "off": "22:00-06:00 Europe/Berlin on weekdays, weekends",
        "sites": {"aws-east": SITES["aws-east"]},
    },
    "behind a load balancer": {"sites": {"aws-east": SITES["aws-east"]}, "ingress": {"alb": ALB}},
    "behind one that the internet reaches": {
        "sites": {"aws-east": SITES["aws-east"]},
        "network": {"allow_from": ["198.51.100.0/24"]},
        "ingress": {
            "alb": {
                **ALB,
                "scheme": "internet-facing",
                "allow_from": ["203.0.113.0/24"],
                "redirect": False,
                "web_acls": ["arn:aws:wafv2:us-east-1:123456789012:regional/webacl/llm/0a1b"],
            }
        },
    },
    "behind edges": {
        "sites": {"aws-east": SITES["aws-east"]},
        "gateway": {"limits": {"queue": 7}, "hosts": ["llm.example.org"]},
        "ingress": {"alb": EDGED},
    },
    "behind edges that the internet reaches, privately, through endpoints, with models from storage": {
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/llm:1",
        "models": ["llama2", BIG],
        "network": {"mode": "private", "way_out": "endpoints"},
        "sites": {"aws-east": SITES["aws-east"]},
        "ingress": {"alb": {**EDGED, "scheme": "internet-facing", "allow_from": ["0.0.0.0/0"]}},
    },
    "behind a Front Door": {
        "sites": {"aws-east": SITES["aws-east"]},
        "ingress": {"alb": OPEN, "front_door": {"region": "westeurope"}},
    },
    "behind a Front Door with names and a firewall": {
        "sites": {"aws-east": SITES["aws-east"]},
        "ingress": {
            "alb": OPEN,
            "front_door": {
                "region": "westeurope",
                "hosts": ["llm.example.org", "1.a-b.example.org"],
                "web_application_firewall": "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/waf"
                "/providers/Microsoft.Network/frontdoorwebapplicationfirewallpolicies/llm",
            },
        },
    },
    "two sites behind a premium Front Door, and one at Azure that is not": {
        "sites": {"aws-east": SITES["aws-east"], "aws-west": WEST, "azure-east": SITES["azure-east"]},
        "ingress": {"alb": OPEN_IN_BOTH, "front_door": {"sku": "premium", "response_timeout": "90s"}},
    },
    "sites of both clouds behind a Front Door": {
        "sites": {"aws-east": SITES["aws-east"], "azure-east": {**SITES["azure-east"], "role": "standby"}},
        "ingress": {"alb": OPEN, "edges": AZURE_EDGES, "front_door": {}},
    },
    "logs for a year, more targets": {"logs": {"retention_days": 365}, "scale": {"min": 3}},
    "on machines with GPUs": {"sites": {"aws-east": {**SITES["aws-east"], **GPUS}}, "scale": {"min": 2, "max": 5}},
    "on private machines with GPUs, which the cloud scales": {
        "sites": {"aws-east": {**SITES["aws-east"], **GPUS}},
        "network": {"mode": "private"},
        "scale": {"by": "cloud", "track": {"requests": 3}, "max": 3},
    },
    "on machines with GPUs that ECS keeps": {"sites": {"aws-east": {**SITES["aws-east"], **MANAGED}}},
    "on private machines with GPUs that ECS keeps": {
        "sites": {"aws-east": {**SITES["aws-east"], **MANAGED}},
        "network": {"mode": "private"},
    },
    "models from storage": {"models": ["llama2", BIG], "sites": {"aws-east": SITES["aws-east"]}},
    "models from storage at a private site, whose names are too long for a tag": {
        "models": ["llama2", *({"name": f"llama2:{'q' * 60}{n}", "from": "storage"} for n in range(5))],
        "sites": {"aws-east": SITES["aws-east"]},
        "network": {"mode": "private"},
    },
    "each task is measured": {"metrics": {"container_insights": "enhanced"}},
    "models from storage at Azure, through a private endpoint": {
        "models": ["llama2", BIG],
        "network": {"mode": "private"},
        "sites": {"azure-east": SITES["azure-east"]},
    },
    "models from storage at Azure, which the internet reaches": {
        "models": [BIG],
        "logs": {"to_workspace": True},
        "deploy": {"hung_after": "30s"},
        "sites": {"azure-east": SITES["azure-east"]},
    },
    "pulled from a registry of Azure with an identity": {
        "image": "llmregistry.azurecr.io/acme/llm:1",
        "sites": {"azure-east": {**SITES["azure-east"], "registry_identity": IDENTITY}},
    },
    "models from storage beside an image that is pulled with an identity": {
        "image": "llmregistry.azurecr.io/acme/llm:1",
        "models": ["llama2", BIG],
        "sites": {"azure-east": {**SITES["azure-east"], "registry_identity": IDENTITY}},
    },
    "spares in a standby pool": {
        "deploy": {"hung_after": "30s"},
        "sites": {"azure-east": {**SITES["azure-east"], "scale": {"spares": 2}}},
    },
    "secrets of Key Vault": {
        "logs": {"to_workspace": True},
        "deploy": {"hung_after": "30s"},
        "environment": {"A": "plain"},
        "sites": {
            "azure-east": {
                **SITES["azure-east"],
                "environment_from": {"HF_TOKEN": f"{VAULT}/hf/{'0' * 32}", "PROXY": f"{VAULT}/proxy/{'1' * 32}"},
                "registry_login": f"{VAULT}/registry/{'2' * 32}",
            }
        },
    },
    "secrets of Key Vault, without sidecars, with models from storage, behind a registry's own name": {
        "models": [BIG],
        "sidecar": False,
        "sites": {"azure-east": {**SITES["azure-east"], "environment_from": {"HF_TOKEN": f"{VAULT}/hf/{'3' * 32}"}}},
    },
    "a login to a registry alone": {
        "image": "registry.example.com/acme/llm:1",
        "sites": {"azure-east": {**SITES["azure-east"], "registry_login": f"{VAULT}/registry/{'2' * 32}"}},
    },
    "behind edges at Azure": {
        "sites": {"azure-east": SITES["azure-east"]},
        "image": "acme.azurecr.io/llm:1",
        "gateway": {"limits": {"queue": 7}, "hosts": ["llm.example.org"], "prices": {"in_per_million": 0.25}},
        "ingress": {"edges": {**AZURE_EDGES, "allow_from": ["203.0.113.0/24", "198.51.100.0/24"]}},
    },
    "behind edges at Azure, with models from storage in a private network, scaled by hand": {
        "sites": {"azure-east": SITES["azure-east"]},
        "models": ["llama2", BIG],
        "network": {"mode": "private"},
        "scale": {"by": "hand"},
        "ingress": {"edges": {**AZURE_EDGES, "count": 3}},
    },
    "Azure's alerts scale": {"sites": {"azure-east": SITES["azure-east"]}, "scale": ALERTED},
    "Azure's alerts scale groups with a secret, of which one is watched": {
        "scale": {**ALERTED, "min": 1, "track": {"memory": "75%"}},
        "sites": {"azure-east": {**SITES["azure-east"], "environment_from": {"HF_TOKEN": f"{VAULT}/hf/{'4' * 32}"}}},
    },
    "on container apps with GPUs": {"sites": {"azure-east": {**SWEDEN, "gpu": "T4"}}, "scale": {"min": 2}},
    "on container apps with GPUs, pulled with an identity": {
        "image": "llmregistry.azurecr.io/acme/llm:1",
        "sites": {"azure-east": {**SWEDEN, "gpu": "T4", "registry_identity": IDENTITY}},
    },
    "on virtual machines with GPUs at Azure": {
        "sites": {"azure-east": {**SWEDEN, "gpu": VIRTUAL}},
        "scale": {"min": 2},
        "environment": {"A": 'say "${b}" and %{c}'},
    },
    "on virtual machines with four GPUs at Azure, without sidecars, in a private network": {
        "sidecar": False,
        "deploy": {"stop_within": "15m", "ready_within": "45m"},
        "network": {"mode": "private", "allow_from": ["10.8.0.0/24"]},
        "size": {"storage": "300GiB"},
        "sites": {"azure-east": {**SWEDEN, "gpu": {**VIRTUAL, "count": 4}}},
    },
    "on container apps with GPUs, without sidecars, in a private network": {
        "sidecar": False,
        "deploy": {"stop_within": "15m"},
        "network": {"mode": "private", "allow_from": ["10.8.0.0/24"]},
        "environment": {"A": 'say "${b}" and %{c}'},
        "sites": {"azure-east": {**SWEDEN, "gpu": "A100"}},
    },
}


def spec(changes: Mapping[str, Any] | None = None) -> Spec:
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": SITES}
    return Spec.model_validate({**whole, **(changes or {})})


def nothing(wish: Spec, account: str = "") -> Facts:
    """Nothing but the models that Terraform puts nowhere. A Front Door's id is known: load balancers in the module get
    it when Terraform makes one, and a plan has no rules for them without it.
    """
    door = DOOR_ID if wish.ingress.front_door else None
    found = {
        name: SiteFacts(name, site.cloud, site.region, account, front_door=door) for name, site in wish.sites.items()
    }
    for name, site in found.items():
        if site.cloud == "azure":
            stored = azure_files.wanted(wish.site(name), site, f"{wish.name}-{name}")
            there = tuple(each for each in stored if each.kind == azure_files.MODELS_KIND)
            found[name] = replace(site, resources=there)
    return Facts(wish.name, found)
