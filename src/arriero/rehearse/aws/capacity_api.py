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

from arriero.rehearse.aws import managed_api
from arriero.rehearse.aws.ecs_task import MANAGED_INSTANCES
from arriero.rehearse.aws.managed_api import ManagedProvider

FARGATE = ("FARGATE", "FARGATE_SPOT")
_RESERVED = ("aws", "ecs", "fargate")


class CapacityBackend(ecs.EC2ContainerServiceBackend):
    """The part of a region's ECS that is about capacity."""

    def create_capacity_provider(self, name: str, asg_details: dict[str, Any], tags: Any) -> ecs.CapacityProvider:
        self._refuse_a_name(name)
        group = self._group(asg_details["autoScalingGroupArn"])
        if group is None:
            raise _client_error("The specified Auto Scaling group ARN is invalid. Check the ARN and try again.")
        details = {**asg_details, "autoScalingGroupArn": group.arn}
        _check_protection(group, details)
        details.setdefault("managedDraining", "ENABLED")
        return super().create_capacity_provider(name, details, tags)

    def create_managed(self, request: Mapping[str, Any]) -> ManagedProvider:
        """Of Managed Instances: it belongs to its cluster from now on."""
        name, configuration = request["name"], request["managedInstancesProvider"]
        self._refuse_a_name(name)
        cluster = self._cluster_of_managed(request)
        managed_api.refuse_a_configuration(self.account_id, self.region_name, configuration, "create")
        arn = f"arn:aws:ecs:{self.region_name}:{self.account_id}:capacity-provider/{name}"
        made = ManagedProvider(arn, name, cluster.name, configuration, request.get("tags") or [])
        providers: dict[str, Any] = self.capacity_providers
        providers[name] = made
        cluster.capacity_providers = [*(cluster.capacity_providers or ()), name]
        return made

    def update_managed(self, request: Mapping[str, Any]) -> ManagedProvider:
        found = self._known(request["name"])
        if not isinstance(found, ManagedProvider):
            raise _client_error("The specified capacity provider has no Managed Instances.")
        if self._cluster_of_managed(request).name != found.cluster:
            raise _client_error("The specified capacity provider does not exist. Specify a valid name and try again.")
        configuration = request["managedInstancesProvider"]
        managed_api.refuse_a_configuration(self.account_id, self.region_name, configuration, "update")
        found.update(configuration)
        return found

    def delete_managed(self, found: ManagedProvider) -> ManagedProvider:
        """It is gone when its machines are."""
        if found.name in self._in_use(found.cluster):
            text = "Cannot delete capacity provider. Services are still associated with this capacity provider."
            raise _client_error(text)
        found.status, found.update_status = "DEPROVISIONING", "DELETE_IN_PROGRESS"
        return found

    def forget_provider(self, provider: ManagedProvider) -> None:
        cluster = self._get_cluster(provider.cluster)
        cluster.capacity_providers = [each for each in cluster.capacity_providers or () if each != provider.name]
        self.capacity_providers.pop(provider.name)

    def kind_of(self, provider: str) -> str:
        """The launch type of tasks that a capacity provider has."""
        if provider in FARGATE:
            return "FARGATE"
        is_managed = isinstance(self.capacity_providers.get(provider), ManagedProvider)
        return MANAGED_INSTANCES if is_managed else "EC2"

    def _cluster_of_managed(self, request: Mapping[str, Any]) -> ecs.Cluster:
        if not request.get("cluster"):
            text = "A cluster must be specified for a capacity provider of Managed Instances."
            raise InvalidParameterException(text)
        cluster = self._get_cluster(str(request["cluster"]))
        if cluster.status != "ACTIVE":
            raise ECSException("ClusterNotFoundException", "Cluster not found.")
        return cluster

    def _refuse_a_name(self, name: str) -> None:
        if name.lower().startswith(_RESERVED):
            raise _client_error(
                f"The specified capacity provider name is invalid. The name can't begin with {name[:7]}."
            )
        if name in self.capacity_providers:
            raise _client_error("The specified capacity provider already exists.")

    def update_capacity_provider(self, name_or_arn: str, asg_provider: dict[str, Any]) -> ecs.CapacityProvider:
        found = self._known(name_or_arn)
        held = found.auto_scaling_group_provider
        _check_protection(self._group(held["autoScalingGroupArn"]), {**held, **asg_provider})
        if "managedDraining" in asg_provider:  # moto forgets it
            held["managedDraining"] = asg_provider["managedDraining"]
        return super().update_capacity_provider(name_or_arn, asg_provider)

    def delete_capacity_provider(self, name_or_arn: str) -> ecs.CapacityProvider:
        found = self._known(name_or_arn)
        if isinstance(found, ManagedProvider):
            return self.delete_managed(found)
        holder = next((c.name for c in self._clusters() if found.name in (c.capacity_providers or ())), "")
        if holder:
            what = f"The capacity provider cannot be deleted because it is associated with cluster: {holder}."
            raise _client_error(f"{what} Remove the capacity provider from the cluster and try again.")
        return super().delete_capacity_provider(name_or_arn)

    def put_cluster_capacity_providers(
        self, cluster_name: str, capacity_providers: Any, default_capacity_provider_strategy: Any
    ) -> ecs.Cluster:
        self.refuse_unknown(capacity_providers or ())
        if any(self.kind_of(each) == MANAGED_INSTANCES for each in capacity_providers or ()):
            text = "Cannot associate Managed Instances capacity provider to clusters using this API."
            raise InvalidParameterException(f"{text} Managed Instances capacity providers are already associated.")
        held = self._get_cluster(cluster_name).capacity_providers or ()
        managed = [each for each in held if self.kind_of(each) == MANAGED_INSTANCES]
        gone = set(held) - {*(capacity_providers or ()), *managed}
        if used := sorted(gone & self._in_use(cluster_name)):
            what = f"The specified capacity provider is in use and cannot be removed: {', '.join(used)}."
            raise ECSException("ResourceInUseException", what)
        return super().put_cluster_capacity_providers(
            cluster_name, [*(capacity_providers or ()), *managed], default_capacity_provider_strategy
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
            provider = self.capacity_providers.get(item["capacityProvider"])
            if provider is not None and provider.status != "ACTIVE":
                text = "The capacity provider specified in capacity provider strategy is not ACTIVE."
                raise InvalidParameterException(text)
        kinds = {self.kind_of(item["capacityProvider"]) for item in strategy}
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
        if kind in ("EC2", MANAGED_INSTANCES) and network.get("assignPublicIp") == "ENABLED":
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
