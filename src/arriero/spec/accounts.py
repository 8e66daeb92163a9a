"""The spec's sections `accounts` and `credentials`: which accounts may be touched, and where logins come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from arriero.spec import values
from arriero.spec.section import Section

AwsAccount = Annotated[str, BeforeValidator(values.aws_account), values.schema(r"^\d{12}$")]
AzureSubscription = Annotated[str, BeforeValidator(values.azure_subscription), values.schema(values.UUID_PATTERN)]
FileName = Annotated[str, BeforeValidator(values.file_name), WithJsonSchema({"type": "string", "minLength": 1})]


class Accounts(Section):
    """The accounts this spec may touch; outside a rehearsal any other account is refused."""

    aws: AwsAccount | None = Field(default=None, description="The AWS account id: 12 digits, in quotes.")
    azure: AzureSubscription | None = Field(default=None, description="The Azure subscription id.")


class Credentials(Section):
    """Where logins to the clouds come from, if not from the environment; a rehearsal reads none of it."""

    vault: tuple[FileName, ...] = Field(
        default=(), description="Files encrypted by Ansible Vault that hold logins; paths start at this file."
    )
    password_file: FileName | None = Field(
        default=None, description="The file that holds the vaults' password, or a program that prints it."
    )
