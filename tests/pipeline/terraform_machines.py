"""Reads the machines of a site with GPUs out of a Terraform module, in the plan's words."""

from __future__ import annotations

from terraform_blocks import Module, Read, Values, done, many


def aws_machines(module: Module) -> Read:
    profiles = {}
    for address, profile in module.of("aws_iam_instance_profile"):
        profiles[address] = profile["name"]
        properties = {"path": profile.pop("path"), "role": profile.pop("role")}
        yield "aws.instance_profile", profile.pop("name"), properties, profile.pop("tags")
        done(profile)
    for _, template in module.of("aws_launch_template"):
        name = template.pop("name")
        tags = template.pop("tags")
        yield "aws.launch_template", name, _template(template, profiles, {**tags, "Name": name}), tags
        done(template)
    groups = {}
    for address, group in module.of("aws_autoscaling_group"):
        name = groups[address] = group.pop("name")
        yield "aws.autoscaling_group", name, _group(group), _group_tags(group)
        done(group)
    for _, provider in module.of("aws_ecs_capacity_provider"):
        if "managed_instances_provider" in provider:
            properties = _managed(provider)
            yield "aws.managed_machines", provider.pop("name"), properties, provider.pop("tags")
            done(provider)
            continue
        [held] = many(provider, "auto_scaling_group_provider")
        [scaling] = many(held, "managed_scaling")
        properties = {
            "group": groups[held.pop("auto_scaling_group_arn")],
            "scaling": {"status": scaling.pop("status"), "target": scaling.pop("target_capacity")},
            "termination_protection": held.pop("managed_termination_protection"),
            "draining": held.pop("managed_draining"),
        }
        done({**held, **scaling})
        yield "aws.capacity_provider", provider.pop("name"), properties, provider.pop("tags")
        done(provider)


def _template(template: Values, profiles: dict[str, str], tags: Values) -> Values:
    [profile], [metadata] = many(template, "iam_instance_profile"), many(template, "metadata_options")
    [network], [disk] = many(template, "network_interfaces"), many(template, "block_device_mappings")
    [volume] = many(disk, "ebs")
    for what in ("instance", "volume"):
        assert {"resource_type": what, "tags": tags} in template["tag_specifications"]
    assert len(template.pop("tag_specifications")) == 2
    assert (metadata.pop("http_endpoint"), network.pop("device_index")) == ("enabled", 0)
    assert network.pop("delete_on_termination")
    assert volume.pop("delete_on_termination")
    found = {
        "machine": template.pop("instance_type"),
        "image": template.pop("image_id"),
        "profile": profiles[profile.pop("arn")],
        "user_data": template.pop("user_data"),
        "metadata_tokens": metadata.pop("http_tokens"),
        "disk": {
            "device": disk.pop("device_name"),
            "gib": volume.pop("volume_size"),
            "type": volume.pop("volume_type"),
            "encrypted": volume.pop("encrypted"),
        },
        "security_groups": network.pop("security_groups"),
        "public_ip": network.pop("associate_public_ip_address"),
    }
    done({**profile, **metadata, **network, **disk, **volume})
    return found


def _managed(provider: Values) -> Values:
    """How its machines are paid is no argument of this version, and on demand where nothing is said."""
    [held], requirements = many(provider, "managed_instances_provider"), {}
    [template], [idle] = many(held, "instance_launch_template"), many(held, "infrastructure_optimization")
    [network], [disk] = many(template, "network_configuration"), many(template, "storage_configuration")
    [asked] = many(template, "instance_requirements")
    for word, name in (
        ("vcpu_count", "vCpuCount"),
        ("memory_mib", "memoryMiB"),
        ("accelerator_count", "acceleratorCount"),
    ):
        [requirements[name]] = many(asked, word)
    for word, name in (
        ("accelerator_types", "acceleratorTypes"),
        ("accelerator_manufacturers", "acceleratorManufacturers"),
        ("accelerator_names", "acceleratorNames"),
        ("allowed_instance_types", "allowedInstanceTypes"),
    ):
        requirements[name] = asked.pop(word)
    assert len(provider.pop("depends_on")) == 2
    found = {
        "cluster": provider.pop("cluster"),
        "infrastructure_role": held.pop("infrastructure_role_arn"),
        "profile": template.pop("ec2_instance_profile_arn"),
        "capacity": "ON_DEMAND",
        "requirements": requirements,
        "disk_gib": disk.pop("storage_size_gib"),
        "subnets": network.pop("subnets"),
        "security_groups": network.pop("security_groups"),
        "monitoring": template.pop("monitoring"),
        "idle_seconds": idle.pop("scale_in_after"),
        "hands_tags_on": {"CAPACITY_PROVIDER": True, "NONE": False}[held.pop("propagate_tags")],
    }
    done({**held, **template, **idle, **network, **disk, **asked})
    return found


def _group(group: Values) -> Values:
    [template] = many(group, "launch_template")
    assert group.pop("health_check_type") == "EC2"
    assert group.pop("force_delete") is True
    assert group.pop("depends_on")
    return {
        "template": template["name"],
        "version": template["version"],
        "min": group.pop("min_size"),
        "max": group.pop("max_size"),
        "subnets": group.pop("vpc_zone_identifier"),
        "is_protected": group.pop("protect_from_scale_in"),
    }


def _group_tags(group: Values) -> Values:
    """All but the mark by which ECS knows its own, which its machines have, too."""
    tags = {each["key"]: (each["value"], each["propagate_at_launch"]) for each in many(group, "tag")}
    assert tags.pop("AmazonECSManaged") == ("", True)
    assert not any(propagates for _, propagates in tags.values())
    return {key: value for key, (value, _) in tags.items()}
