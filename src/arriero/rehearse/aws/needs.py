"""What a call has to be allowed, as AWS would ask for it: each action, on which ARN, and what conditions can see.

The table says which permissions; the request, and what stands on the stage, say on what. Called with the world's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from moto.backends import get_backend

from arriero.catalog import permissions
from arriero.catalog.permissions import Wanted
from arriero.rehearse.aws import edge_needs, stored_needs
from arriero.rehearse.aws.calls import Call
from arriero.rehearse.permissions import Need

ACCOUNT = "123456789012"
_NETWORK = {
    "vpc": "VpcId",
    "subnet": "SubnetId",
    "internet-gateway": "InternetGatewayId",
    "route-table": "RouteTableId",
    "security-group": "GroupId",
    "natgateway": "NatGatewayId", "elastic-ip": "AllocationId", "vpc-endpoint": "VpcEndpointId",
    "launch-template": "LaunchTemplateId",
}  # fmt: skip
# In lists some of them have other names.
_LISTED = {"security-group": "SecurityGroupId"}
_BALANCING_ROLE = "elasticloadbalancing.amazonaws.com/AWSServiceRoleForElasticLoadBalancing"
_SCALING_ROLE = "ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService"
_REPLICATION_ROLE = "replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication"
_MACHINES_ROLE = "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
_COMPUTE_ROLE = "ecs-compute.amazonaws.com/AWSServiceRoleForECSCompute"
_FILES_ROLE = "elasticfilesystem.amazonaws.com/AWSServiceRoleForAmazonElasticFileSystem"
_PASSED_TO = "ecs-tasks.amazonaws.com"


def needs_of(call: Call) -> tuple[Need, ...]:
    """All must be allowed. A call that no table knows needs an action of its own name, on everything."""
    wanted = permissions.calls("aws").needs.get(call.label)
    if wanted is None:
        return (Need(call.label, "*", {}, is_known=False),)
    return tuple(need for each in wanted if not each.given or each.given in call.fields for need in _needs(call, each))


def _needs(call: Call, wanted: Wanted) -> Iterator[Need]:
    for arn in _arns(call, wanted):
        yield Need(wanted.action, arn, _context(call, wanted, arn))


def _arns(call: Call, wanted: Wanted) -> Iterable[str]:
    if wanted.on == "*":
        return ["*"]
    if wanted.on in _NETWORK:
        return [_arn(call, "ec2", f"{wanted.on}/{name}") for name in _ids(call, wanted)]
    return _OTHERS[wanted.on](call)


def _context(call: Call, wanted: Wanted, arn: str) -> Mapping[str, str]:
    context = {"aws:RequestedRegion": call.region}
    if wanted.only == "new":
        context |= {f"aws:RequestTag/{key}": value for key, value in _asked_tags(call).items()}
    elif wanted.only == "ours":
        context |= {f"aws:ResourceTag/{key}": value for key, value in _tags_of(call, arn).items()}
    elif wanted.only == "tagging":
        context["ec2:CreateAction"] = call.action
    elif wanted.only == "cluster":
        context["ecs:cluster"] = next(iter(_clusters(call)), "")
    elif wanted.only == "tasks":
        context["iam:PassedToService"] = _PASSED_TO
    elif wanted.only == "scaling":
        context["application-autoscaling:service-namespace"] = str(call.fields.get("ServiceNamespace", ""))
    elif wanted.only == "autoscaling":
        context["iam:AWSServiceName"] = "ecs.application-autoscaling.amazonaws.com"
    elif wanted.only == "machines":
        context["iam:AWSServiceName"] = "autoscaling.amazonaws.com"
    elif wanted.only == "balancing":
        context["iam:AWSServiceName"] = "elasticloadbalancing.amazonaws.com"
    elif wanted.only == "replication":
        context["iam:AWSServiceName"] = "replication.ecr.amazonaws.com"
    elif wanted.only == "metrics":
        context["cloudwatch:namespace"] = str(call.fields.get("Namespace", ""))
    elif wanted.only == "starting":
        context["ec2:CreateAction"] = "RunInstances"
    elif wanted.only == "machine":
        context["iam:PassedToService"] = "ec2.amazonaws.com"
    elif wanted.only == "infrastructure":
        context["iam:PassedToService"] = "ecs.amazonaws.com"
    elif wanted.only == "compute":
        context["iam:AWSServiceName"] = "ecs-compute.amazonaws.com"
    elif wanted.only == "files":
        context["iam:AWSServiceName"] = "elasticfilesystem.amazonaws.com"
    elif wanted.only == "attached":
        context["iam:PolicyARN"] = str(call.fields.get("PolicyArn", ""))
    return context


# EC2: by tags


def _ids(call: Call, wanted: Wanted) -> Sequence[str]:
    """The things of that kind that the request names; `new` for one that it makes."""
    if wanted.only in ("new", "tagging"):
        return ["new"]
    if association := call.fields.get("AssociationId"):
        found = _associated(call, str(association))
        return [found.get(wanted.on, "none")]
    name = _NETWORK[wanted.on]
    if name in call.fields:
        return [str(call.fields[name])]
    start = wanted.given.removesuffix("1") or f"{_LISTED.get(wanted.on, name)}."
    listed = [str(value) for key, value in call.fields.items() if key.startswith(start) and key[len(start) :].isdigit()]
    return listed or ["none"]


def _associated(call: Call, association: str) -> Mapping[str, str]:
    for table in _ec2(call).describe_route_tables():
        subnet = table._associations.get(association)
        if subnet:
            return {"route-table": table.id, "subnet": subnet}
    return {}


def _asked_tags(call: Call) -> Mapping[str, str]:
    if call.service in ("elasticfilesystem", "servicediscovery"):
        return stored_needs.asked_tags(call)
    start, fields = "TagSpecification.1.Tag.", call.fields
    keys = [name for name in fields if name.startswith(start) and name.endswith(".Key")]
    return {str(fields[key]): str(fields.get(f"{key.removesuffix('Key')}Value", "")) for key in keys}


def _tags_of(call: Call, arn: str) -> Mapping[str, str]:
    if call.service == "elasticfilesystem":
        return stored_needs.tags_of(call, ACCOUNT, arn)
    if call.service == "servicediscovery":
        return edge_needs.tags_of(call, ACCOUNT, arn)
    name = arn.rpartition("/")[2]
    return {tag["key"]: tag["value"] for tag in _ec2(call).describe_tags({"resource-id": [name]})}


def _ec2(call: Call) -> Any:
    return get_backend("ec2")[ACCOUNT][call.region]


# The others: by name


def _clusters(call: Call) -> Iterable[str]:
    fields = call.fields
    names = fields.get("clusters") or [fields.get("cluster") or fields.get("clusterName") or "default"]
    return [_arn(call, "ecs", f"cluster/{_short(name)}") for name in names]


def _in_cluster(kind: str, *keys: str) -> Callable[[Call], Iterable[str]]:
    """Services or tasks, named alone or in a list."""

    def arns(call: Call) -> Iterable[str]:
        cluster = _short(str(call.fields.get("cluster") or "default"))
        named = next((call.fields[key] for key in keys if call.fields.get(key)), "none")
        names = named if isinstance(named, list) else [named]
        return [_arn(call, "ecs", f"{kind}/{cluster}/{_short(name)}") for name in names]

    return arns


def _family(call: Call) -> Iterable[str]:
    if call.action == "RunTask":
        return [stored_needs.ran_from(call, ACCOUNT)[0]]
    return [_arn(call, "ecs", f"task-definition/{call.fields.get('family', '')}:new")]


def _tagged(call: Call) -> Iterable[str]:
    """What is tagged, or is made with tags."""
    made = {
        "CreateCapacityProvider": "capacity-provider",
        "CreateCluster": "cluster",
        "CreateService": "service",
        "RegisterTaskDefinition": "task-definition",
    }
    if call.action in made:
        return _OTHERS[made[call.action]](call)
    return [str(call.fields.get("resourceArn", ""))]


def _task_role(call: Call) -> Iterable[str]:
    if call.action == "RunTask":
        return stored_needs.role_of(call, ACCOUNT, "task_role_arn")
    # Modules say an empty one where there is none, and then none is passed.
    return [str(role)] if (role := call.fields["taskRoleArn"]) else []


def _execution_role(call: Call) -> Iterable[str]:
    if call.action == "RunTask":
        return stored_needs.role_of(call, ACCOUNT, "execution_role_arn")
    return [str(call.fields["executionRoleArn"])] if "family" in call.fields else _role(call)


def _role(call: Call) -> Iterable[str]:
    """With its path, once it is there."""
    name = str(call.fields.get("RoleName", ""))
    roles = get_backend("iam")[ACCOUNT]["global"].roles.values()
    path = next((role.path for role in roles if role.name == name), None) or str(call.fields.get("Path", "/"))
    return [f"arn:aws:iam::{ACCOUNT}:role{path}{name}"]


def _providers(call: Call) -> Iterable[str]:
    """Capacity providers, named alone or in a list."""
    fields = call.fields
    named = fields.get("capacityProviders") or fields.get("capacityProvider") or fields.get("name") or "none"
    return [
        _arn(call, "ecs", f"capacity-provider/{_short(n)}") for n in (named if isinstance(named, list) else [named])
    ]


def _profile(call: Call) -> Iterable[str]:
    """With its path, once it is there."""
    name = str(call.fields.get("InstanceProfileName", ""))
    profiles = get_backend("iam")[ACCOUNT]["global"].instance_profiles.values()
    path = next((each.path for each in profiles if each.name == name), None) or str(call.fields.get("Path", "/"))
    return [f"arn:aws:iam::{ACCOUNT}:instance-profile{path}{name}"]


def _machine_role(call: Call) -> Iterable[str]:
    """The role in the profile of the launch template that a new group names."""
    named = call.fields.get("LaunchTemplate.LaunchTemplateId") or call.fields.get("LaunchTemplate.LaunchTemplateName")
    templates = [each for each in _ec2(call).launch_templates.values() if named in (each.id, each.name)]
    profiles = {each.latest_version().data.get("IamInstanceProfile", {}).get("Arn") for each in templates}
    known = get_backend("iam")[ACCOUNT]["global"].instance_profiles.values()
    return [role.arn for each in known if each.arn in profiles for role in each.roles]


def _machine_group(call: Call) -> Iterable[str]:
    name = call.fields.get("AutoScalingGroupName") or call.fields.get("Tags.member.1.ResourceId") or "none"
    return [_arn(call, "autoscaling", f"autoScalingGroup:new:autoScalingGroupName/{name}")]


def _log_group(call: Call) -> Iterable[str]:
    return [f"{arn}:*" for arn in _log_group_itself(call)]


def _log_group_itself(call: Call) -> Iterable[str]:
    """Tags are asked for on the ARN without `:*`, everything else with it."""
    return [_arn(call, "logs", f"log-group:{call.fields.get('logGroupName', '')}")]


def _scaled_service(call: Call) -> Iterable[str]:
    """`service/<cluster>/<name>` is what a scalable target is named by."""
    return [_arn(call, "ecs", str(call.fields.get("ResourceId", "none")))]


def _service(call: Call) -> Iterable[str]:
    own = call.service == "ecs"
    return _in_cluster("service", "services", "service", "serviceName")(call) if own else _scaled_service(call)


def _alarm(call: Call) -> Iterable[str]:
    """Target tracking names its alarms by what it scales."""
    return [_arn(call, "cloudwatch", f"alarm:TargetTracking-{call.fields.get('ResourceId', 'none')}-AlarmHigh-new")]


def _repository(call: Call) -> Iterable[str]:
    names = call.fields.get("repositoryNames") or [call.fields.get("repositoryName", "")]
    return [_arn(call, "ecr", f"repository/{name}") for name in names]


def _bucket(call: Call) -> Iterable[str]:
    return [f"arn:aws:s3:::{call.name.strip('/').partition('/')[0]}"]


def _object(call: Call) -> Iterable[str]:
    bucket, _, key = call.name.strip("/").partition("/")
    return [f"arn:aws:s3:::{bucket}/{key or '*'}"]


def _balancing(kind: str, key: str) -> Callable[[Call], Iterable[str]]:
    """A load balancer, its target group or a listener; one that is being made has no id yet."""

    def arns(call: Call) -> Iterable[str]:
        named = call.fields.get(key) or call.fields.get("ResourceArns.member.1") or call.fields.get("ResourceArn")
        made = _arn(call, "elasticloadbalancing", f"{kind}/{call.fields.get('Name', 'none')}/new")
        return [str(named or made)]

    return arns


def _web_acl(call: Call) -> Iterable[str]:
    fields = call.fields
    name = f"regional/webacl/{fields.get('Name', 'none')}/{fields.get('Id', 'none')}"
    return [str(fields.get("WebACLArn") or _arn(call, "wafv2", name))]


def _arn(call: Call, service: str, name: str) -> str:
    return f"arn:aws:{service}:{call.region}:{ACCOUNT}:{name}"


def _short(name: str) -> str:
    return name.rpartition("/")[2]


_OTHERS: Mapping[str, Callable[[Call], Iterable[str]]] = {
    "cluster": _clusters,
    "service": _service,
    "scalable-target": lambda call: [_arn(call, "application-autoscaling", "scalable-target/any")],
    "alarm": _alarm,
    "balancing-role": lambda _: [f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{_BALANCING_ROLE}"],
    "replication-role": lambda _: [f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{_REPLICATION_ROLE}"],
    "machine-group": _machine_group,
    "started": lambda call: [_arn(call, "ec2", f"{each}/new") for each in ("instance", "volume")],
    "machines-linked-role": lambda _: [f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{_MACHINES_ROLE}"],
    "capacity-provider": _providers,
    "instance-profile": _profile,
    "scaling-role": lambda _: [f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{_SCALING_ROLE}"],
    "task": _in_cluster("task", "tasks", "task"),
    "task-definition": _family,
    "tagged": _tagged,
    "task-role": _task_role,
    "execution-role": _execution_role,
    "role": _role,
    "attached-role": _role,
    "machine-role": _machine_role,
    "infrastructure-role": lambda call: [str(call.fields["managedInstancesProvider"]["infrastructureRoleArn"])],
    "compute-role": lambda _: [f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{_COMPUTE_ROLE}"],
    "log-group": _log_group,
    "log-group-itself": _log_group_itself,
    "load-balancer": _balancing("loadbalancer/app", "LoadBalancerArn"),
    "target-group": _balancing("targetgroup", "TargetGroupArn"),
    "listener": _balancing("listener/app", "ListenerArn"),
    "listener-rule": _balancing("listener-rule/app", "RuleArn"),
    "balanced": _balancing("loadbalancer/app", "LoadBalancerArn"),
    "web-acl": _web_acl,
    "file-system": lambda call: stored_needs.file_system(call, ACCOUNT),
    "access-point": lambda call: stored_needs.access_point(call, ACCOUNT),
    "name-zone": lambda call: edge_needs.zone(call, ACCOUNT),
    "name": lambda call: edge_needs.name(call, ACCOUNT),
    "files-role": lambda _: [f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{_FILES_ROLE}"],
    "repository": _repository,
    "bucket": _bucket,
    "object": _object,
}
