"""What private endpoints cost: one for the storage of models, one for each vault and for the registry
if the spec asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.cost import private_endpoint
from arriero.spec.model import ResolvedSite, Spec

BIG = {"name": "llama2:70b", "from": "storage"}
IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/llm/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/llm-pull"
)
SECRETS = {
    "HF_TOKEN": "https://llm-vault.vault.azure.net/secrets/hf",
    "PROXY": "https://llm-vault.vault.azure.net/secrets/proxy",
    "OTHER": "https://other-vault.vault.azure.net/secrets/other",
}


def site(*models: Any, cloud: str = "azure", region: str = "eastus", **network: Any) -> ResolvedSite:
    secrets = {"environment_from": SECRETS, "registry_identity": IDENTITY} if cloud == "azure" else {}
    own = {"cloud": cloud, "region": region, "network": network, **secrets}
    whole = {
        "name": "llm",
        "image": "llmregistry.azurecr.io/acme/llm:1",
        "models": ["llama2", *models],
        "sites": {"one": own},
    }
    return Spec.model_validate(whole).site("one")


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (site(), 0),
        (site(mode="private"), 0),
        (site(BIG, mode="public"), 0),
        (site(BIG, mode="private"), 1),
        (site(mode="private", private_endpoints=["vault"]), 2),
        (site(BIG, mode="private", private_endpoints=["vault"]), 3),
        (site(BIG, mode="public", private_endpoints=["vault"]), 0),
        (site(mode="private", private_endpoints=["registry"]), 1),
        (site(BIG, mode="private", private_endpoints=["vault", "registry"]), 4),
        (site(mode="public", private_endpoints=["registry"]), 0),
        (site(BIG, cloud="aws", region="us-east-1", mode="private"), 0),
    ],
)
def test_each_is_counted_where_it_is_made(wanted: ResolvedSite, count: int) -> None:
    assert private_endpoint.count(wanted) == count


@pytest.mark.parametrize(
    ("region", "said"), [("eastus", "$7.30 a month and $0.01 a GB"), ("southindia", "price unknown")]
)
def test_the_price_of_one_is_told_or_that_nobody_knows(region: str, said: str) -> None:
    assert private_endpoint.sentence(site(region=region)) == said
