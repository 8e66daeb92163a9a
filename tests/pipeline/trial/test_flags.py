"""The container that is tried gets production's flags."""

from __future__ import annotations

from arriero.pipeline.trial import container
from arriero.spec.model import Spec

SPEC = Spec.model_validate(
    {
        "name": "llm",
        "image": "acme/llm:1.2",
        "models": ["llama2"],
        "sites": {"a": {"cloud": "aws", "region": "us-east-1"}},
        "size": {"cpu": "4 vCPU", "memory": "8GiB"},
        "environment": {"A": "b"},
    }
)


def test_it_is_read_only_without_capabilities_and_within_its_size() -> None:
    words = " ".join(container.flags(SPEC, processors=2))
    assert "--read-only --cap-drop ALL --security-opt no-new-privileges:true" in words
    assert f"--memory {8 * 2**30} --cpus 2" in words
    assert "--env A=b" in words


def test_it_is_reached_by_a_published_port_or_on_the_network_that_was_named() -> None:
    assert container.ways("", (1, 2)) == ["--publish", "127.0.0.1::11434"]
    assert "ARRIERO_LISTEN=127.0.0.1:1" in container.ways("host", (1, 2))
