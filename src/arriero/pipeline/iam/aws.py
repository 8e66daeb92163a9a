"""Policies for AWS: each action on the service's own resources only, by name where we name them, else by tag. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from arriero.catalog import permissions
from arriero.cost import way_out
from arriero.plan import registries, stores
from arriero.plan.model import SERVICE_TAG
from arriero.plan.wanted import aws as wish
from arriero.plan.wanted import aws_alb, aws_edges, aws_gpu, aws_managed, aws_scaling, storage
from arriero.plan.wanted.aws_task import role_path
from arriero.spec.model import ResolvedSite, Spec

_LINKED_ROLES = {
    "linked-role": "ecs.amazonaws.com/AWSServiceRoleForECS",
    "scaling-role": "ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
    "replication-role": "replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication",
    "machines-linked-role": "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
    "files-role": "elasticfilesystem.amazonaws.com/AWSServiceRoleForAmazonElasticFileSystem",
    "compute-role": "ecs-compute.amazonaws.com/AWSServiceRoleForECSCompute",
    "balancing-role": "elasticloadbalancing.amazonaws.com/AWSServiceRoleForElasticLoadBalancing",
}
_BALANCING = ("load-balancer", "target-group", "listener", "listener-rule", "balanced", "web-acl")
# As Cloud Map calls a private zone, and a name in it.
_NAMES = {"name-zone": "namespace", "name": "service"}
_MACHINES = ("machine-group", "capacity-provider", "instance-profile", "started")
# What such a call holds where ECS has the machines by itself, and not where a group has them.
_OF_MANAGED = "managedInstancesProvider"
_NETWORK = (
    "vpc", "subnet", "internet-gateway", "route-table", "security-group", "natgateway", "elastic-ip", "vpc-endpoint",
    "launch-template",
)  # fmt: skip


def policies(spec: Spec) -> Mapping[str, Mapping[str, Any]]:
    """A policy document for each part."""
    place, repository = _Place(spec), registries.place(spec)
    # Another account's repository is left alone.
    keeps_rules = repository is not None and repository.account == spec.accounts.aws
    scales = any(spec.site(name).scale_by == "cloud" for name, site in spec.sites.items() if site.cloud == "aws")
    alb = spec.ingress.alb
    more = {
        "scaling": scales,
        "machines": any(site.gpu and not site.gpu.is_managed for site in place.sites),
        "managed": any(wish.is_managed(site) for site in place.sites),
        "storage": any(storage.is_used(site) for site in place.sites),
        "insights": bool(spec.metrics.container_insights),
        "ingress": bool(alb),
        "waf": bool(alb and alb.web_acls),
        "door": bool(alb and spec.ingress.front_door),
        "edges": any(site.edges for site in place.sites),
        "registry": keeps_rules,
        "replication": keeps_rules and bool(registries.copies(spec)),
    }
    parts = ("network", *place.ways_out, "service", "ledger", *(part for part, is_asked in more.items() if is_asked))
    return {part: {"Version": "2012-10-17", "Statement": _statements(part, place)} for part in parts}


def _statements(part: str, place: _Place) -> list[Mapping[str, Any]]:
    """A statement holds all actions that may be done to the same resources under the same condition."""
    actions: dict[tuple[str, str], set[str]] = defaultdict(set)
    for wanted in permissions.calls("aws").of_part(part):
        if part != "machines" or wanted.given != _OF_MANAGED:
            actions[wanted.on, wanted.only].add(wanted.action)
    found: dict[tuple[tuple[str, ...], str], tuple[list[str], str]] = {}
    for (kind, only), each in sorted(actions.items()):
        # Kinds that may have the same done to them share a statement.
        kinds, _ = found.setdefault((tuple(sorted(each)), only), ([], only))
        kinds.append(kind)
    return [_statement(part, list(each), kinds, only, place) for (each, _), (kinds, only) in found.items()]


def _statement(part: str, actions: Sequence[str], kinds: Sequence[str], only: str, place: _Place) -> Mapping[str, Any]:
    arns = sorted({arn for kind in kinds for arn in place.arns(kind)})
    condition = place.condition(part, only)
    return {
        "Sid": "".join(word.title() for kind in [*kinds, only] for word in _named(kind).split("-")),
        "Effect": "Allow",
        "Action": actions,
        "Resource": arns,
        **({"Condition": condition} if condition else {}),
    }


def _named(kind: str) -> str:
    return "all" if kind == "*" else kind


class _Place:
    """Where a service's things are at AWS, as ARNs."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self.sites = [spec.site(name) for name, site in spec.sites.items() if site.cloud == "aws"]
        self._account = spec.accounts.aws
        self._partition = wish.partition(self.sites[0].region)

    def arns(self, kind: str) -> Sequence[str]:
        if kind == "*":
            return ["*"]
        if kind in ("bucket", "object"):
            bucket = f"arn:{self._partition}:s3:::{stores.name('aws', self._spec.name, str(self._account))}"
            return [bucket if kind == "bucket" else f"{bucket}/*"]
        if kind == "repository":
            first = registries.place(self._spec)
            there = [first, *registries.copies(self._spec)] if first else []
            return [self._arn("ecr", each.region, f"repository/{each.name}") for each in there]
        if kind in _LINKED_ROLES:
            return [self._arn("iam", "", f"role/aws-service-role/{_LINKED_ROLES[kind]}")]
        return [arn for site in self.sites for arn in self._of_site(kind, site)]

    @property
    def ways_out(self) -> Sequence[str]:
        """How private sites' targets reach out: each way is a part of its own."""
        private = [site for site in self.sites if site.network.is_private and not site.network.vpc]
        return sorted({way_out.cheapest(site) for site in private})

    @property
    def _attached(self) -> Sequence[str]:
        """AWS's own policies that the service's roles have."""
        kinds = {site.gpu.is_managed for site in self.sites if site.gpu}
        own = [aws_gpu.POLICY] if False in kinds else []
        managed = [aws_managed.POLICY, aws_managed.INFRASTRUCTURE_POLICY] if True in kinds else []
        return [wish.EXECUTION_POLICY, *own, *managed]

    def condition(self, part: str, only: str) -> Mapping[str, Any]:
        regions, home = sorted({site.region for site in self.sites}), registries.place(self._spec)
        made = sorted({w.action for w in permissions.calls("aws").of_part(part) if w.only == "new"})
        attached = [f"arn:{self._partition}:iam::aws:policy/{name}" for name in self._attached]
        conditions: Mapping[str, Mapping[str, Any]] = {
            "": {},
            "ours": {"StringEquals": {f"aws:ResourceTag/{SERVICE_TAG}": self._spec.name}},
            "new": {"StringEquals": {f"aws:RequestTag/{SERVICE_TAG}": self._spec.name}},
            "tagging": {"StringEquals": {"ec2:CreateAction": [action.partition(":")[2] for action in made]}},
            "region": {"StringEquals": {"aws:RequestedRegion": regions}},
            "registry": {"StringEquals": {"aws:RequestedRegion": home.region if home else ""}},
            "replication": {"StringEquals": {"iam:AWSServiceName": "replication.ecr.amazonaws.com"}},
            "cluster": {"ArnEquals": {"ecs:cluster": self.arns("cluster")}},
            "tasks": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            "ecs": {"StringEquals": {"iam:AWSServiceName": "ecs.amazonaws.com"}},
            "machines": {"StringEquals": {"iam:AWSServiceName": "autoscaling.amazonaws.com"}},
            "machine": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            "infrastructure": {"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}},
            "compute": {"StringEquals": {"iam:AWSServiceName": "ecs-compute.amazonaws.com"}},
            "starting": {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
            "autoscaling": {"StringEquals": {"iam:AWSServiceName": "ecs.application-autoscaling.amazonaws.com"}},
            "files": {"StringEquals": {"iam:AWSServiceName": "elasticfilesystem.amazonaws.com"}},
            "balancing": {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
            "scaling": {"StringEquals": {"application-autoscaling:service-namespace": "ecs"}},
            "metrics": {"StringEquals": {"cloudwatch:namespace": aws_scaling.NAMESPACE}},
            "attached": {"ArnEquals": {"iam:PolicyARN": attached if len(attached) > 1 else attached[0]}},
        }
        return conditions[only]

    def _balancing(self, kind: str, site: ResolvedSite) -> Sequence[str]:
        """A load balancer's things, by its name; the web ACL by its ARN."""
        name = aws_alb.name(wish.base_name(site))
        if kind == "web-acl":
            acl = aws_alb.web_acl(site, site.alb) if site.alb else None
            return [acl] if acl else []
        patterns = {
            "load-balancer": f"loadbalancer/app/{name}/*",
            "target-group": f"targetgroup/{name}/*",
            "listener": f"listener/app/{name}/*/*",
            "listener-rule": f"listener-rule/app/{name}/*/*/*",
        }
        kinds = ("load-balancer", "target-group") if kind == "balanced" else (kind,)
        return [self._arn("elasticloadbalancing", site.region, patterns[each]) for each in kinds]

    def _machines(self, kind: str, site: ResolvedSite) -> Sequence[str]:
        """What only a site with GPUs has, by its name."""
        base, region = wish.base_name(site), site.region
        if not site.gpu:
            return []
        if kind == "machine-group":
            return [self._arn("autoscaling", region, f"autoScalingGroup:*:autoScalingGroupName/{base}")]
        if kind == "started":
            return [self._arn("ec2", region, f"{each}/*") for each in ("instance", "volume")]
        if kind == "capacity-provider":
            # Where ECS keeps the machines, those of a group that was left are looked for as well.
            managed = [aws_managed.provider_name(base)] if wish.is_managed(site) else []
            names = [aws_gpu.provider_name(base), *managed]
            return [self._arn("ecs", region, f"capacity-provider/{name}") for name in names]
        return [self._arn("iam", "", f"{kind}{path}{aws_gpu.role_name(base)}") for path in ("/", role_path(site))]

    def _of_site(self, kind: str, site: ResolvedSite) -> Sequence[str]:
        base, region = wish.base_name(site), site.region
        if kind in _MACHINES:
            return self._machines(kind, site)
        if kind in _BALANCING:
            return self._balancing(kind, site)
        if kind in _NETWORK:
            return [self._arn("ec2", region, f"{kind}/*")]
        if kind == "tagged":
            return [arn for each in ("cluster", "service", "capacity-provider") for arn in self._of_site(each, site)]
        if kind in ("role", "task-role", "execution-role", "machine-role", "infrastructure-role", "attached-role"):
            having: tuple[str, ...] = ("infra",) if wish.is_managed(site) else ()
            machine: tuple[str, ...] = ("machine", *having) if site.gpu else ()
            job: tuple[str, ...] = ("seed",) if storage.is_used(site) else ()
            ends = {
                "task-role": ("task", *job),
                "execution-role": ("exec",),
                "machine-role": machine[:1],
                "infrastructure-role": having,
                "attached-role": ("exec", *machine),
            }.get(kind, ("task", "exec", *machine, *job))
            # A role that is not there yet has no path to be known by.
            paths = ("/", role_path(site)) if kind == "role" else (role_path(site),)
            roles = [self._arn("iam", "", f"role{path}{base}-{end}") for path in paths for end in ends]
            # Whether the role of the job that fills a storage is left from a former spec is looked for as well.
            return [*roles, self._arn("iam", "", f"role/{base}-seed")] if kind == "role" and not job else roles
        if kind in ("log-group", "log-group-itself"):
            # With `:*` for all but tags, see "CloudWatch Logs resources and operations" in its guide.
            group = self._arn("logs", region, f"log-group:{wish.log_group_name(site)}")
            return [group if kind == "log-group-itself" else f"{group}:*"]
        if kind == "scalable-target":
            return [self._arn("application-autoscaling", region, "scalable-target/*")]
        if kind == "alarm":
            return [self._arn("cloudwatch", region, f"alarm:TargetTracking-service/{base}/*")]
        if kind in ("file-system", "access-point"):
            return [self._arn("elasticfilesystem", region, f"{kind}/*")] if storage.is_used(site) else []
        if kind in _NAMES:
            return [self._arn("servicediscovery", region, f"{_NAMES[kind]}/*")] if site.edges else []
        if kind == "task-definition":
            job = (f"{base}-seed",) if storage.is_used(site) else ()
            families = (base, *job, *((aws_edges.name(base),) if site.edges else ()))
            return [self._arn("ecs", region, f"task-definition/{family}:*") for family in families]
        name = {
            "cluster": f"cluster/{base}",
            "service": f"service/{base}/*",
            "task": f"task/{base}/*",
        }[kind]
        return [self._arn("ecs", region, name)]

    def _arn(self, service: str, region: str, name: str) -> str:
        return f"arn:{self._partition}:{service}:{region}:{self._account}:{name}"
