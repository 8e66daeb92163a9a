"""pydantic's errors in our words: what is wrong, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arriero.spec import (
    accounts,
    budget,
    deploy,
    gateway,
    gpu,
    image,
    ingress,
    ledger,
    logs,
    metrics,
    model,
    ollama,
    pipeline,
    policy,
    scale,
    spot,
    storage,
    strategy,
    validation,
)
from arriero.spec.document import KeyPath, dotted
from arriero.spec.network import Network
from arriero.spec.section import Section
from arriero.spec.size import Size
from arriero.spec.suggest import suggest
from arriero.spec.values import kind, shown

SECTIONS: Mapping[str, type[Section]] = {
    "image": image.Image,
    "image.scan": image.Scan,
    "size": Size,
    "scale": scale.Scale,
    "scale.prewarm": scale.Prewarm,
    "scale.track": scale.Track,
    "scale.cooldown": scale.Cooldown,
    "scale.alerts": scale.Alerts,
    "ollama": ollama.Ollama,
    "network": Network,
    "storage": storage.Storage,
    "gateway": gateway.Gateway,
    "gateway.tls": gateway.Tls,
    "gateway.limits": gateway.GatewayLimits,
    "gateway.prices": gateway.Prices,
    "gateway.shared_limits": gateway.SharedLimits,
    "ingress": ingress.Ingress,
    "ingress.alb": ingress.Alb,
    "ingress.alb.edges": ingress.Edges,
    "ingress.edges": ingress.AzureEdges,
    "ingress.front_door": ingress.FrontDoor,
    "ingress.nginx": ingress.Nginx,
    "ingress.nginx.tls": gateway.Tls,
    "ingress.nginx.limits": ingress.NginxLimits,
    "validation": validation.Validation,
    "validation.tolerance": validation.Tolerance,
    "pipeline": pipeline.Pipeline,
    "policy": policy.Policy,
    "budget": budget.Budget,
    "ledger": ledger.Ledger,
    "spot": spot.Spot,
    "gpu": gpu.Gpu,
    "logs": logs.Logs,
    "logs.ship": logs.Ship,
    "metrics": metrics.Metrics,
    "deploy": deploy.Deploy,
    "deploy.strategy": strategy.Strategy,
    "accounts": accounts.Accounts,
}

ADD = {
    ("name",): "add a line like name: llm",
    ("image",): "add a line like image: registry.example.com/acme/ollama-llm",
    ("models",): "add a line like models: [llama2]",
    ("sites",): "add at least one site, like aws-east: {cloud: aws, region: us-east-1}",
    ("sites", "type"): "add the GPU, like type: T4",
    ("sites", "cloud"): "add cloud: aws, azure or local",
    ("gateway", "certificate"): "add its file, like certificate: tls.crt",
    ("gateway", "key"): "add the certificate's key, like key: tls.key",
    ("ingress", "certificate"): "add its file, like certificate: tls.crt",
    ("ingress", "key"): "add the certificate's key, like key: tls.key",
    ("ingress", "hosts"): "add the names that clients use, like hosts: [llm.example.com]",
    ("ingress", "certificates"): "add the ARNs of certificates in ACM, one for each region with an AWS site",
    (
        "ingress",
        "keys",
    ): "add the secret that holds the file of API keys: for edges at AWS its ARN in each region, at Azure its address",
    ("ingress", "identity"): "add the id of a user-assigned managed identity that may read the secret of keys",
    ("gateway", "store"): "add its address, like store: valkey://10.0.0.5:6379/0",
    ("logs", "to"): "add what is spoken there, to: loki or to: otlp",
    ("logs", "url"): "add the server, like url: https://loki.example.com",
    ("scale", "url"): "add where Azure reaches the controller, like url: https://ops.example.com/alerts",
    ("scale", "key_file"): "add the file that holds the key, like key_file: alerts.key",
    ("validation", "prompt"): "add what is asked, like prompt: Say hello.",
    ("policy", "rule"): "add the id of what is waived, like rule: one-region",
    ("policy", "until"): "add its last day, like until: 2027-01-31",
    ("policy", "reason"): "add in a few words why it may pass for a while",
    ("image", "name"): "add its name, like name: registry.example.com/acme/ollama-llm",
    ("image", "id"): "add the finding's id, like id: CVE-2024-1234",
    ("image", "until"): "add the last day on which it is let pass, like until: 2026-12-31",
    ("image", "reason"): "say why, like reason: not reachable here",
    ("models", "name"): "add a name, like name: llama2",
}


def explain(error: Mapping[str, Any]) -> tuple[KeyPath, str, str]:
    """The path, what is wrong and the remedy of one of pydantic's errors."""
    path = _path(error["loc"])
    what, remedy = _reason(error, path)
    return path, what, remedy


def keys_at(path: KeyPath) -> tuple[str, ...]:
    """The keys that may be written in the section at that path; none if keys are the user's own there."""
    section = _section_at(path)
    return tuple(field.alias or name for name, field in section.model_fields.items()) if section else ()


def _section_at(path: KeyPath) -> type[Section] | None:
    if not path:
        return model.Spec
    if path[0] == "sites" and len(path) == 2:
        return model.Site
    if path[0] == "sites" and len(path) > 2:
        path = path[2:]
    if path[0] == "models" and len(path) == 2:
        return model.Model
    if path[:2] == ("validation", "prompts") and len(path) == 3:
        return validation.Prompt
    if path[:2] == ("policy", "waive") and len(path) == 3:
        return policy.Waiver
    if path[:3] == ("image", "scan", "allow") and len(path) == 4:
        return image.Allowed
    return SECTIONS.get(dotted(path))


def _path(loc: tuple[str | int, ...]) -> KeyPath:
    """Where it is in the file: pydantic marks a mapping's own key with `[key]` at the end."""
    return loc[:-1] if loc and loc[-1] == "[key]" else loc


def _reason(error: Mapping[str, Any], path: KeyPath) -> tuple[str, str]:
    kind_of, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind_of == "missing":
        known = tuple(part for part in (path[0], path[-1]) if isinstance(part, str))
        return "is missing", ADD[known if len(path) > 1 else path[:1]]  # type: ignore[index]
    if kind_of == "extra_forbidden":
        return "unknown key", suggest(str(path[-1]), keys_at(path[:-1])) or "remove it"
    if kind_of == "value_error":
        what, _, remedy = str(context["error"]).partition("; ")
        return what, remedy
    if value is None:
        return "is empty", "give it a value, or remove the line"
    return _shape(kind_of, value, context, path)


def _shape(kind_of: str, value: object, context: Mapping[str, Any], path: KeyPath) -> tuple[str, str]:
    """What is wrong with a value of the wrong kind or out of its range."""
    if kind_of == "literal_error":
        words = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return f"{shown(value)} is not known here", suggest(str(value), words)
    if kind_of == "greater_than_equal":
        return f"is {value}", f"it must be at least {context['ge']}"
    if kind_of == "less_than_equal":
        return f"is {value}", f"it must be at most {context['le']}"
    if kind_of == "too_short":
        known = (str(path[0]), str(path[-1]))
        return "is empty", ADD[known if known in ADD else known[:1]]
    wanted = {
        "int_type": ("a whole number", "write it without quotes or unit, like 4"),
        "bool_type": ("true or false", "write it without quotes"),
        "string_type": ("text", f"put it in quotes: '{shown(value)}'"),
        "tuple_type": ("a list", "write it like [one, two]"),
        "mapping_type": ("a section with keys", "write key: value lines under it"),
        "dict_type": ("a section with keys", "write key: value lines under it"),
        "model_type": ("a section with keys", _section_remedy(path)),
    }
    # Anything else would be a kind of error that no field of the model can give; pydantic's own words are kept then.
    noun, remedy = wanted.get(kind_of, (kind_of.replace("_", " "), "see: arriero docs"))
    if kind_of == "string_type" and isinstance(value, dict | tuple):
        remedy = "write one value here"
    return f"must be {noun}, not {kind(value)}", remedy


def _section_remedy(path: KeyPath) -> str:
    keys = keys_at(path)
    return f"write keys under it, such as {keys[0]}" if keys else "write keys under it"
