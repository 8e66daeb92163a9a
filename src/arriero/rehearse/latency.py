"""How long the real clouds take, as recorded by those who use them; the stage plays it back, scaled.

A figure is one observation with its source, not a promise. Those marked "derived" follow from a recorded one by the
arithmetic said, or from what a cloud's page says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recorded:
    """`seconds` as seen by `source`."""

    seconds: float
    source: str


RECORDED = {
    "fargate.task_start": Recorded(70, "aws/containers-roadmap#696: a 900 MB image, from RunTask to RUNNING"),
    "fargate.task_stop": Recorded(5, "derived: SIGTERM ends Ollama at once; the rest is the agent's report"),
    "ec2.machine_start": Recorded(
        300, "derived: a capacity provider's default warm-up, hashicorp/terraform-provider-aws#39420"
    ),
    "ecs.managed_machine_start": Recorded(
        210, "derived: 3 to 4 min until a task with a GPU runs on a fresh one, awsbites/aws-bites-site, episode 150"
    ),
    "aci.group_create": Recorded(110, "virtual-kubelet/azure-aci#151 (2021): a 900 MB image; 60 s for one of 44 MB"),
    "aci.group_create_cached": Recorded(35, "MicrosoftDocs/azure-docs#31689: an image that ACI holds in its cache"),
    "aci.spare_taken": Recorded(2, "derived: the group of a standby pool runs already; a PUT and the reads after it"),
    "aci.group_delete": Recorded(10, "derived: as other deletions of one ARM resource"),
    "aws.call": Recorded(0.25, "derived: aws_route_table in Terraform 1 s = create, tag, two reads"),
    "aws.vpc_create": Recorded(21, "DevopsArtFactory/terraform-provisioning#4: aws_vpc 21 s, DNS host names on"),
    "aws.iam_role_create": Recorded(4, "jina-ai/examples#277: aws_iam_role 4 s"),
    "aws.ecs_cluster_create": Recorded(10, "jina-ai/examples#277: aws_ecs_cluster past 10 s"),
    "arm.call": Recorded(0.5, "derived: a resource group's 8 s in Terraform hold one PUT and polling reads"),
    "arm.resource_group_create": Recorded(8, "harmony-one/experiment-deploy#318: azurerm_resource_group 8 s"),
    "arm.network_create": Recorded(11, "harmony-one/experiment-deploy#318: azurerm_network_security_group 11 s"),
    "vm.create": Recorded(
        60, "derived: azurerm_linux_virtual_machine takes 27 s to 113 s in people's logs of Terraform"
    ),
    "logs.ingest": Recorded(
        600, "derived: Microsoft's page on container groups and workspaces, up to 10 min for first lines"
    ),
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Recorded latencies times `scale`; 0 (the default) plays none.

    `minute_seconds`: how long a minute of the clouds' monitors takes here, by which they measure, alarm and scale.
    """

    scale: float = 0.0
    minute_seconds: float = 60.0

    def seconds(self, name: str) -> float:
        """The time to wait for `name`; an unknown name is a KeyError, for it is a slip of ours."""
        return RECORDED[name].seconds * self.scale
