"""Capacity providers as ECS takes and refuses them; moto takes everything.

Words: the errors of CreateCapacityProvider, PutClusterCapacityProviders, DeleteCapacityProvider and CreateService in
the API reference, and as public issue threads quote them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.ecs import models as ecs
from moto.ecs.exceptions import ECSException, InvalidParameterException

FARGATE = ("FARGATE", "FARGATE_SPOT")
_RESERVED = ("aws", "ecs", "fargate")


class CapacityBackend(ecs.EC2ContainerServiceBackend):
    """The part of a region's ECS that is about capacity."""

    def create_capacity_provider(self, name: str, asg_details: dict[str, Any], tags: Any) -> ecs.CapacityProvider:
        if name.lower().startswith(_RESERVED):
            raise _client_error(
                f"The specified capacity provider name is invalid. The name can't begin with {name[:7]}."
            )
        if name in self.capacity_providers:
            raise _client_error("The specified capacity provider already exists.")
        group = self._group(asg_details["autoScalingGroupArn"])
        if group is None:
            raise _client_error("The specified Auto Scaling group ARN is invalid. Check the ARN and try again.")
        details = {**asg_details, "autoScalingGroupArn": group.arn}
        _check_protection(group, details)
        details.setdefault("managedDraining", "ENABLED")
        return super().create_capacity_provider(name, details, tags)

    def update_capacity_provider(self, name_or_arn: str, asg_provider: dict[str, Any]) -> ecs.CapacityProvider:
        found = self._known(name_or_arn)
        held = found.auto_scaling_group_provider
        _check_protection(self._group(held["autoScalingGroupArn"]), {**held, **asg_provider})
        if "managedDraining" in asg_provider:  # moto forgets it
            held["managedDraining"] = asg_provider["managedDraining"]
        return super().update_capacity_provider(name_or_arn, asg_provider)

    def delete_capacity_provider(self, name_or_arn: str) -> ecs.CapacityProvider:
        found = self._known(name_or_arn)
        holder = next((c.name for c in self._clusters() if found.name in (c.capacity_providers or ())), "")
        if holder:
            what = f"The capacity provider cannot be deleted because it is associated with cluster: {holder}."
            raise _client_error(f"{what} Remove the capacity provider from the cluster and try again.")
        return super().delete_capacity_provider(name_or_arn)

    def put_cluster_capacity_providers(
        self, cluster_name: str, capacity_providers: Any, default_capacity_provider_strategy: Any
    ) -> ecs.Cluster:
        self.refuse_unknown(capacity_providers or ())
        gone = set(self._get_cluster(cluster_name).capacity_providers or ()) - set(capacity_providers or ())
        if used := sorted(gone & self._in_use(cluster_name)):
            what = f"The specified capacity provider is in use and cannot be removed: {', '.join(used)}."
            raise ECSException("ResourceInUseException", what)
        return super().put_cluster_capacity_providers(
            cluster_name, capacity_providers, default_capacity_provider_strategy
        )

    def refuse_unknown(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in FARGATE and name not in self.capacity_providers:
                text = f"The specified capacity provider '{name}' was not found."
                raise InvalidParameterException(f"{text} Specify a valid name or ARN and try again.")

    def refuse_what_does_not_go_together(self, request: Mapping[str, Any]) -> None:
        """Of a service: its capacity, what its task definition is made for, and public addresses."""
        cluster = self._get_cluster(request.get("cluster") or "default")
        strategy = request.get("capacityProviderStrategy") or []
        for item in strategy:
            if item["capacityProvider"] not in (cluster.capacity_providers or ()):
                text = (
                    "The specified capacity provider was not found in the cluster. Specify a valid name and try again."
                )
                raise InvalidParameterException(text)
        kinds = {"FARGATE" if item["capacityProvider"] in FARGATE else "EC2" for item in strategy}
        if len(kinds) > 1:
            text = "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling groups"
            raise InvalidParameterException(f"{text} and Fargate providers. Specify one or the other and try again.")
        kind = next(iter(kinds), request.get("launchType") or "")
        wanted = request.get("taskDefinition")
        definition = self.describe_task_definition(str(wanted)) if wanted else None
        made_for = (definition.requires_compatibilities or []) if definition else []
        if kind and made_for and kind not in made_for:
            raise InvalidParameterException(f"Task definition does not support launch_type {kind}.")
        network = (request.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        if kind == "EC2" and network.get("assignPublicIp") == "ENABLED":
            raise InvalidParameterException("Assign public IP is not supported for this launch type.")

    def _in_use(self, cluster_name: str) -> set[str]:
        """Providers that services or tasks of that cluster have."""
        name = self._get_cluster(cluster_name).name
        services = [each for each in self.services.values() if each.cluster_name == name]
        live = [each for each in services if each.status != "INACTIVE"]
        strategies = [getattr(each, "capacity_provider_strategy", None) or [] for each in live]
        tasks = [each for each in self.tasks.get(name, {}).values() if each.last_status != "STOPPED"]
        used = {item["capacityProvider"] for strategy in strategies for item in strategy}
        return used | {each.capacity_provider_name or "" for each in tasks}

    def _clusters(self) -> list[ecs.Cluster]:
        return [each for each in self.clusters.values() if each.status == "ACTIVE"]

    def _known(self, name: str) -> ecs.CapacityProvider:
        found = self._get_provider(name)
        if found is None:
            raise _client_error("The specified capacity provider does not exist. Specify a valid name and try again.")
        return found

    def _group(self, name: str) -> Any:
        """Of an autoscaling group's ARN, or its name."""
        groups = autoscaling_backends[self.account_id][self.region_name].autoscaling_groups
        return groups.get(name.rpartition("/")[2])


def _check_protection(group: Any, details: Mapping[str, Any]) -> None:
    if details.get("managedTerminationProtection") != "ENABLED":
        return
    if (details.get("managedScaling") or {}).get("status") != "ENABLED":
        text = "To enable managed termination protection for a capacity provider, managed scaling must be enabled."
        raise _client_error(f"The managed termination protection setting for the capacity provider is invalid. {text}")
    if group is not None and not group.new_instances_protected_from_scale_in:
        text = "the Auto Scaling group must have instance protection from scale in enabled."
        raise _client_error(
            "The managed termination protection setting for the capacity provider is invalid. "
            f"To enable managed termination protection for a capacity provider, {text}"
        )


def _client_error(text: str) -> ECSException:
    return ECSException("ClientException", text)
