"""What single values may look like: each function takes what was written and gives it back normalised.

Each raises ValueError with `what; remedy`, which the loader puts behind file, line and key.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any, TypeVar

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from arriero.secret import Secret
from arriero.spec.units import Duration

Number = TypeVar("Number", bound=float)

NAME_PATTERN = "^[a-z][a-z0-9-]*$"
IMAGE_PATTERN = (
    r"^([A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)
MODEL_PATTERN = (
    r"^([A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?/)?([A-Za-z0-9._-]+/)?[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9._-]+)?$"
)
CIDR_PATTERN = r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$"
ADDRESS_PATTERN = r"^\d{1,3}(\.\d{1,3}){3}$"
VPC_PATTERN = "^vpc-[0-9a-f]{8,17}$"
SUBNET_PATTERN = "^subnet-[0-9a-f]{8,17}$"
SERVER_PATTERN = r"^\d{1,3}(\.\d{1,3}){3}:\d{1,5}$"
OLLAMAS_OWN = "127.0.0.1:11434"
VARIABLE_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*$"
UUID_PATTERN = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
SECRET_NAME_PATTERN = "^[a-z][a-z0-9_]*$"
SECRET_VALUE_PATTERN = r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))


def schema(pattern: str, max_length: int | None = None) -> WithJsonSchema:
    """The JSON Schema of a text of that pattern."""
    return WithJsonSchema({"type": "string", "pattern": pattern} | ({"maxLength": max_length} if max_length else {}))


def service_name(value: object) -> str:
    return _name(value, "llm")


def site_name(value: object) -> str:
    return _name(value, "aws-east")


def image(value: object) -> str:
    """An image reference: `[registry[:port]/]path[:tag][@sha256:…]`."""
    text = _text(value)
    if "://" in text:
        raise ValueError(f"{text[:60]} is a URL; write the image without {text.partition('://')[0]}://")
    if len(text) <= 255 and re.fullmatch(IMAGE_PATTERN, text):
        return text
    if len(text) <= 255 and re.fullmatch(IMAGE_PATTERN, text.lower()):
        raise ValueError(f"{text} has upper-case letters in its path; write {text.lower()}")
    raise ValueError(f"{shown(text)} is not an image; write it like registry.example.com/acme/ollama-llm:1.2")


def model_name(value: object) -> str:
    """A model as Ollama names it, its tag made explicit: `llama2` is `llama2:latest` to Ollama."""
    text = _text(value)
    if len(text) > 200 or not re.fullmatch(MODEL_PATTERN, text):
        raise ValueError(f"{shown(text)} is not a model's name; write it like llama2 or llama2:70b")
    return text if ":" in text.rpartition("/")[2] else f"{text}:latest"


def network_range(value: object) -> str:
    """A private IPv4 range that both clouds can make subnets in: /16 to /24."""
    network = _network(_text(value))
    if not any(network.subnet_of(private) for private in PRIVATE):
        raise ValueError(f"{network} is not a private range; use a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    if not 16 <= network.prefixlen <= 24:
        raise ValueError(f"{network} is /{network.prefixlen}; use /16 to /24, which has room for two subnets")
    return str(network)


def source_range(value: object) -> str:
    """An IPv4 range that may reach Ollama, never everybody: Ollama asks nobody for a key."""
    network = _network(_text(value))
    if network.prefixlen == 0:
        raise ValueError(f"{network} lets everybody reach Ollama, which asks for no key; name the ranges that may")
    return str(network)


def cidr_range(value: object) -> str:
    """Any IPv4 range."""
    return str(_network(_text(value)))


def vpc_id(value: object) -> str:
    return _aws_id(value, VPC_PATTERN, "a VPC", "vpc-0123456789abcdef0")


def subnet_id(value: object) -> str:
    return _aws_id(value, SUBNET_PATTERN, "a subnet", "subnet-0123456789abcdef0")


def _aws_id(value: object, pattern: str, what: str, example: str) -> str:
    text = _text(value)
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{shown(text)} is not the id of {what}; write it like {example}")
    return text


def host(value: object) -> str:
    text = _text(value)
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError(f"{shown(text)} is not an IPv4 address; write one of this machine's, like 127.0.0.1") from None


def server(value: object) -> str:
    """`address:port` of a server on this machine."""
    address, colon, port = _text(value).rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError(f"{shown(value)} is not address:port; write it like {OLLAMAS_OWN}")
    return f"{host(address)}:{int(port)}"


def adopted(value: object) -> object:
    """`true` is the place where an Ollama listens that nobody told otherwise."""
    return ((OLLAMAS_OWN,) if value else ()) if isinstance(value, bool) else value


adopted_schema = WithJsonSchema(
    {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string", "pattern": SERVER_PATTERN}}]}
)


def variable_name(value: object) -> str:
    text = _text(value)
    if len(text) > 128 or not re.fullmatch(VARIABLE_PATTERN, text):
        raise ValueError(f"{shown(text)} is not a variable's name; use letters, digits and _, like OLLAMA_DEBUG")
    return text


def variable_text(value: object) -> str:
    return _text(value)


def keep_alive(value: object) -> Duration | str:
    return "forever" if value == "forever" else Duration.parse(value)


def aws_account(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"is a number; write the account id in quotes, like '{value:012}'")
    text = _text(value)
    if not re.fullmatch(r"[0-9]{12}", text):
        raise ValueError(f"{shown(text)} is not an AWS account id; it has 12 digits, like '123456789012'")
    return text


def azure_subscription(value: object) -> str:
    text = _text(value)
    if not re.fullmatch(UUID_PATTERN, text):
        raise ValueError(f"{shown(text)} is not a subscription id; it looks like 00000000-0000-0000-0000-000000000001")
    return text.lower()


def secret_name(value: object) -> str:
    text = _text(value)
    if len(text) > 64 or not re.fullmatch(SECRET_NAME_PATTERN, text):
        raise ValueError(f"{shown(text)} is not a secret's name; use a-z, 0-9 and _, like hf_token")
    return text


def file_name(value: object) -> str:
    text = _text(value)
    if not text or "\n" in text:
        raise ValueError(f"{shown(text)} is not a file's name; write a path like vault.yml")
    return text


def shown(value: object) -> str:
    """What was written, in quotes if it is text, and short enough for a message."""
    text = {"True": "true", "False": "false", "None": "nothing"}.get(str(value), str(value))
    text = text if len(text) <= 40 else text[:37] + "..."
    return f"'{text}'" if isinstance(value, str) else text


class SecretSchema:
    """How pydantic sees a Secret: made by the loader only, written as bullets."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(
            Secret, serialization=core_schema.plain_serializer_function_ser_schema(lambda _: "•••")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": SECRET_VALUE_PATTERN, "examples": ["${HF_TOKEN}"]}


def _above_zero(value: Number) -> Number:
    if value <= 0:
        raise ValueError(f"is {value}; it must be more than nothing")
    return value


above_zero = AfterValidator(_above_zero)


def _a_share(value: Number) -> Number:
    if not 0.1 <= value <= 1:
        raise ValueError(f"is {value}; it must be 10% to 100%")
    return value


a_share = AfterValidator(_a_share)


def _name(value: object, example: str) -> str:
    text = _text(value)
    if len(text) > 24:
        raise ValueError(f"{shown(text)} has {len(text)} characters; use at most 24")
    if not re.fullmatch(NAME_PATTERN, text):
        raise ValueError(f"{shown(text)} is not a name; use a-z, 0-9 and -, beginning with a letter, like {example}")
    return text


def _network(text: str) -> IPv4Network:
    try:
        if "/" not in text:
            address = IPv4Address(text)
            raise ValueError(f"{address} has no length; write {address}/32 for one address, {address}/16 for a range")
        network = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError):
        raise ValueError(f"{shown(text)} is not an IPv4 range; write it like 10.64.0.0/16") from None
    if str(network) != text:
        raise ValueError(f"{text} is not the beginning of a range; write {network}")
    return network


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | tuple | list):
        raise ValueError(f"must be text, not {kind(value)}; write one value here")
    raise ValueError(f"must be text, not {kind(value)}; put it in quotes: '{shown(value)}'")


def kind(value: object) -> str:
    """What a value is, in the words of somebody who writes YAML."""
    kinds = {type(None): "nothing", bool: "true or false", int: "a number", float: "a fraction", str: "text"}
    return kinds.get(type(value), "a list" if isinstance(value, list | tuple) else "a section with keys")
