"""Every gap of moto 5.2.5 that the stage fills, each named; the one file that changes moto itself.

Where moto has a registry (backends, URL paths) ours is registered; elsewhere a name is assigned. Doing it
twice does no harm.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import moto.applicationautoscaling.models
import moto.applicationautoscaling.responses
import moto.autoscaling.models
import moto.autoscaling.responses
import moto.ce.responses
import moto.cloudwatch.models
import moto.cloudwatch.responses
import moto.ec2.models.elastic_network_interfaces
import moto.ec2.models.instances
import moto.ec2.models.launch_templates
import moto.ec2.models.nat_gateways
import moto.ec2.responses.launch_templates
import moto.ecr.models
import moto.ecs.models
import moto.ecs.urls
import moto.efs.responses
import moto.efs.urls
import moto.iam.models
import moto.ssm.models
import moto.ssm.urls
from moto.core import DEFAULT_ACCOUNT_ID  # type: ignore[attr-defined]
from moto.core.common_models import BaseModel
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.ec2.exceptions import InvalidAMIIdError
from moto.ec2.utils import parse_user_data

from arriero.rehearse.aws import autoscaling_api, billing, file_systems, images, watching
from arriero.rehearse.aws.alarming import Alarming
from arriero.rehearse.aws.ecs_api import StageEcsBackend, StageEcsResponse
from arriero.rehearse.aws.ecs_service import StageService
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.meter import Meter
from arriero.rehearse.minutes import Minutes
from arriero.rehearse.planted import Figures


def fill_the_gaps() -> None:
    """To be called before the first backend is made."""
    _managed_policies()
    _all_is_of_one_account()
    _what_is_gone_is_not_held()
    _services_run_tasks()
    _services_have_a_scaling_of_their_own()
    _interfaces_may_have_no_name()
    _region_comes_from_the_signature()
    _efs_has_its_older_tag_calls()
    file_systems.fill_the_gap()
    _autoscaling_can_disable_metrics()
    _parameters_can_be_pickled()
    _gateways_are_known_by_tags_and_let_their_address_go()
    _images_may_be_parameters()
    _deleted_groups_end_protected_machines()
    _templates_hold_what_was_asked_for()


def bill_by(meter: Meter) -> None:
    """Gap: Cost Explorer answers what it was told to answer. Here it answers from the meter."""

    def get_cost_and_usage(self: Any) -> str:
        try:
            return json.dumps(billing.answer(meter, json.loads(self.body)))
        except billing.NotUnderstood as error:
            raise JsonRESTError("ValidationException", str(error)) from error

    responses: Any = moto.ce.responses.CostExplorerResponse
    responses.get_cost_and_usage = get_cost_and_usage


def watch_by(figures: Figures, minutes: Minutes) -> None:
    """Gap: nobody measures ECS services. Figures of them are those that were planted, else those that were measured."""
    theirs = moto.cloudwatch.models.CloudWatchBackend
    whole = getattr(theirs.get_metric_data, "whole", theirs.get_metric_data)

    def get_metric_data(self: Any, queries: Any, start_time: Any, end_time: Any, scan_by: str = "") -> list[Any]:
        ours = [query for query in queries if watching.is_ours(query)]
        if not ours:
            return list(whole(self, queries, start_time, end_time, scan_by or "TimestampAscending"))
        return watching.answer(figures, minutes, self.region_name, ours, (start_time, end_time))

    get_metric_data.whole = whole  # type: ignore[attr-defined]
    backend: Any = theirs
    backend.get_metric_data = get_metric_data


def copy_images_by(is_lost: Callable[[str], bool]) -> None:
    """Gap: a registry takes one rule at most, and copies nothing."""
    theirs: Any = moto.ecr.models.ECRBackend
    whole = getattr(theirs.put_image, "whole", theirs.put_image)

    def put_image(self: Any, repository_name: str, *arguments: Any, **options: Any) -> Any:
        image = whole(self, repository_name, *arguments, **options)
        images.copy(self, repository_name, image, is_lost)
        return image

    def put_replication_configuration(self: Any, replication_config: Any) -> Any:
        return images.configure(self, replication_config)

    put_image.whole = whole  # type: ignore[attr-defined]
    theirs.put_image, theirs.put_replication_configuration = put_image, put_replication_configuration


def judge_alarms_by(alarming: Alarming) -> None:
    """Gap: an alarm stays as it was made. Here those of ECS services are as their figures say, when they are read."""
    responses: Any = moto.cloudwatch.responses.CloudWatchResponse
    whole = getattr(responses.describe_alarms, "whole", responses.describe_alarms)

    def describe_alarms(self: Any) -> Any:
        alarming.judge(self.region, list(self.cloudwatch_backend.alarms.values()))
        return whole(self)

    describe_alarms.whole = whole  # type: ignore[attr-defined]
    responses.describe_alarms = describe_alarms


def _managed_policies() -> None:
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"


def _all_is_of_one_account() -> None:
    """Gap: who has an access key is looked for in six partitions, each of which loads all of IAM's managed policies."""
    models: Any = moto.iam.models
    models.get_account_id_from = lambda _: DEFAULT_ACCOUNT_ID


def _what_is_gone_is_not_held() -> None:
    """Gap: each object of a model is held by its class for a page of moto's own, until moto itself is reset."""

    def made(cls: type[Any], *_: object, **__: object) -> Any:
        return object.__new__(cls)

    BaseModel.__new__ = made  # type: ignore[method-assign]


def _services_run_tasks() -> None:
    """Gap: services start no task, drop half of their fields and pretend at once; list_tasks knows no service."""
    moto.ecs.models.Service = StageService  # type: ignore[misc]
    moto.ecs.models.Task = StageTask  # type: ignore[misc]
    moto.ecs.models.ecs_backends.backend = StageEcsBackend
    moto.ecs.urls.url_paths["{0}/$"] = StageEcsResponse.dispatch


def _services_have_a_scaling_of_their_own() -> None:
    """Gap: alarms have made-up thresholds, policies can't be asked for by name, and outlive what they scale."""
    scaling: Any = moto.applicationautoscaling
    scaling.models.FakeApplicationAutoscalingPolicy = autoscaling_api.StagePolicy
    scaling.models.applicationautoscaling_backends.backend = autoscaling_api.StageScalingBackend
    response = scaling.responses.ApplicationAutoScalingResponse
    response.describe_scaling_policies = autoscaling_api.describe_scaling_policies
    response.describe_scaling_activities = autoscaling_api.describe_scaling_activities


def _interfaces_may_have_no_name() -> None:
    """Gap: ecs.Task reads the DNS name of its interface, which there is only where the VPC gives names."""
    moto.ec2.models.elastic_network_interfaces.NetworkInterface.private_dns_name = ""


def _region_comes_from_the_signature() -> None:
    """Gap: a region in the URL or the User-Agent wins over the signature's, which is what AWS goes by."""
    if getattr(BaseResponse.get_region_from_url, "__module__", "") == __name__:
        return
    theirs = BaseResponse.get_region_from_url

    def get_region_from_url(self: Any, request: Any, full_url: str) -> str:
        scope = request.headers.get("Authorization", "").split(",")[0].split("/")
        return scope[2] if len(scope) >= 5 and scope[2] else str(theirs(self, request, full_url))

    BaseResponse.get_region_from_url = get_region_from_url  # type: ignore[method-assign]


def _efs_has_its_older_tag_calls() -> None:
    """Gap: create-tags, delete-tags and DescribeTags, which community.aws.efs still uses."""

    def file_system(self: Any) -> str:
        return str(self.path.split("?")[0].rstrip("/").rsplit("/", 1)[-1])

    def describe_tags(self: Any) -> Any:
        tags = self.efs_backend.list_tags_for_resource(file_system(self))
        return json.dumps({"Tags": tags}), {"Content-Type": "application/json"}

    def create_tags(self: Any) -> Any:
        tags = {tag["Key"]: tag["Value"] for tag in self._get_param("Tags")}
        self.efs_backend.tag_resource(file_system(self), tags)
        return "", {"status": 204}

    def delete_tags(self: Any) -> Any:
        self.efs_backend.untag_resource(file_system(self), self._get_param("TagKeys"))
        return "", {"status": 204}

    responses: Any = moto.efs.responses.EFSResponse
    responses.describe_tags, responses.create_tags, responses.delete_tags = describe_tags, create_tags, delete_tags
    for path in ("create-tags", "delete-tags", "tags"):
        moto.efs.urls.url_paths[f"/2015-02-01/{path}/<file_system_id>"] = moto.efs.urls.response.dispatch


def _autoscaling_can_disable_metrics() -> None:
    responses: Any = moto.autoscaling.responses.AutoScalingResponse
    responses.disable_metrics_collection = lambda _: EmptyResult()


def _parameters_can_be_pickled() -> None:
    """Gap: the tags of SSM live in a defaultdict made by a lambda, which no snapshot can hold."""

    class PicklableParameters(moto.ssm.models.SimpleSystemManagerBackend):
        def __init__(self, region_name: str, account_id: str) -> None:
            super().__init__(region_name, account_id)
            self._resource_tags = defaultdict(_dictionaries)

        @property
        def _url_module(self) -> Any:
            return moto.ssm.urls

    moto.ssm.models.ssm_backends.backend = PicklableParameters


def _gateways_are_known_by_tags_and_let_their_address_go() -> None:
    """Gap: NAT gateways are not filtered by tags, and a deleted one holds its address for ever."""
    theirs: Any = moto.ec2.models.nat_gateways.NatGatewayBackend
    whole, delete = (getattr(call, "whole", call) for call in (theirs.describe_nat_gateways, theirs.delete_nat_gateway))

    def describe_nat_gateways(self: Any, filters: Any, nat_gateway_ids: Any) -> list[Any]:
        wanted = {name.partition(":")[2]: values for name, values in (filters or {}).items() if name.startswith("tag:")}
        found = whole(self, filters, nat_gateway_ids)
        tags = {each.id: {tag["key"]: tag["value"] for tag in each.get_tags()} for each in found}
        return [each for each in found if all(tags[each.id].get(key) in values for key, values in wanted.items())]

    def delete_nat_gateway(self: Any, nat_gateway_id: str) -> Any:
        gone = delete(self, nat_gateway_id)
        held = {each.get("allocationId") for each in gone.address_set}
        for address in [each for each in self.addresses if each.allocation_id in held]:
            address.eni = address.association_id = None
        return gone

    describe_nat_gateways.whole, delete_nat_gateway.whole = whole, delete  # type: ignore[attr-defined]
    theirs.describe_nat_gateways, theirs.delete_nat_gateway = describe_nat_gateways, delete_nat_gateway


def _images_may_be_parameters() -> None:
    """Gap: `resolve:ssm:` names an image by a public parameter, which is looked up when a machine starts."""
    theirs: Any = moto.ec2.models.instances.InstanceBackend
    whole = getattr(theirs.run_instances, "whole", theirs.run_instances)

    def run_instances(self: Any, image_id: str, *arguments: Any, **options: Any) -> Any:
        _, is_parameter, name = image_id.partition("resolve:ssm:")
        if is_parameter:
            found = moto.ssm.models.ssm_backends[self.account_id][self.region_name].get_parameters([name])
            if name not in found:
                raise InvalidAMIIdError(name)
            image_id = str(found[name].value)
        return whole(self, image_id, *arguments, **options)

    run_instances.whole = whole  # type: ignore[attr-defined]
    theirs.run_instances = run_instances


def _deleted_groups_end_protected_machines() -> None:
    """Gap: a group that is deleted by force leaves machines running that are protected from scale-in."""
    theirs: Any = moto.autoscaling.models.AutoScalingBackend
    whole = getattr(theirs.delete_auto_scaling_group, "whole", theirs.delete_auto_scaling_group)

    def delete_auto_scaling_group(self: Any, group_name: str) -> None:
        if group_name in self.autoscaling_groups:
            for state in self.autoscaling_groups[group_name].instance_states:
                state.protected_from_scale_in = False
        whole(self, group_name)

    delete_auto_scaling_group.whole = whole  # type: ignore[attr-defined]
    theirs.delete_auto_scaling_group = delete_auto_scaling_group


def _templates_hold_what_was_asked_for() -> None:
    """Gap: a launch template's own tags get among those of its machines, versions after the first can start no
    machine, and none can be deleted.
    """
    template: Any = moto.ec2.models.launch_templates.LaunchTemplate
    response: Any = moto.ec2.responses.launch_templates.LaunchTemplates
    whole = getattr(template.create_version, "whole", template.create_version)

    def create_version(self: Any, data: dict[str, Any], description: str) -> Any:
        tags = [each for each in data.get("TagSpecifications", ()) if each["ResourceType"] != "launch-template"]
        given = data.get("UserData")
        script = {"UserData": parse_user_data(given) if isinstance(given, str) else given} if given else {}
        kept = {key: value for key, value in data.items() if key not in ("TagSpecifications", "UserData")}
        return whole(self, {**kept, **script, **({"TagSpecifications": tags} if tags else {})}, description)

    def delete_launch_template_versions(self: Any) -> ActionResult:
        found = self.ec2_backend.get_launch_template(self._get_param("LaunchTemplateId"))
        gone = [int(number) for number in self._get_param("Versions", [])]
        found.versions = [each for each in found.versions if each.number not in gone]
        rows = [{"LaunchTemplateId": found.id, "LaunchTemplateName": found.name, "VersionNumber": n} for n in gone]
        return ActionResult({"SuccessfullyDeletedLaunchTemplateVersions": rows})

    create_version.whole = whole  # type: ignore[attr-defined]
    template.create_version = create_version
    response.delete_launch_template_versions = delete_launch_template_versions


def _dictionaries() -> defaultdict[str, dict[str, str]]:
    return defaultdict(dict)
