"""The sentences of ECS, word for word: service events, rollout reasons, stopped reasons.

Sources: ECS developer guide, "Service event messages", "Stopped task error messages" and "Deployment circuit breaker";
output of DescribeServices in public issue threads.
"""

from __future__ import annotations

from collections.abc import Iterable

EXITED = "Essential container in task exited"
UNHEALTHY = "Task failed container health checks"
SPOT = "Your Spot Task was interrupted."
HOST_GONE = "ECS is performing maintenance on the underlying infrastructure hosting the task."
NO_BREAKER_LUCK = "ECS deployment circuit breaker: tasks failed to start."

_MOUNTING = "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes:"


def no_image(image: str) -> str:
    return (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref "
        f"{image}: failed to do request: dial tcp: i/o timeout"
    )


def absent(image: str) -> str:
    return (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
        f"{image}: {image}: not found"
    )


def started(service: str, tasks: Iterable[str]) -> str:
    return f"(service {service}) has started {_listed(tasks, 'tasks')}"


def stopped(service: str, tasks: Iterable[str]) -> str:
    return f"(service {service}) has stopped {_listed(tasks, 'running tasks')}"


def steady(service: str) -> str:
    return f"(service {service}) has reached a steady state."


def unhealthy(service: str, task: str) -> str:
    return f"(service {service}) (task {task}) failed container health checks."


def unhealthy_at(group: str) -> str:
    return f"Task failed ELB health checks in (target-group {group})"


def not_started(why: str) -> str:
    """Why ECS has no machine of its own for a task; the sentence is the stage's, what follows is IAM's."""
    return f"No managed instance could be started. {why}"


def deployment_completed(service: str, deployment: str) -> str:
    return f"(service {service}) (deployment {deployment}) deployment completed."


def deployment_failed(service: str, deployment: str) -> str:
    return f"(service {service}) (deployment {deployment}) deployment failed: tasks failed to start."


def rolling_back(service: str, deployment: str) -> str:
    return f"(service {service}) rolling back to deployment {deployment}."


def inconsistent(service: str) -> str:
    return (
        f"(service {service}) is unable to consistently start tasks successfully. "
        "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
    )


def stuck(service: str) -> str:
    return (
        f"(service {service}) was unable to stop or start tasks during a deployment because of the service deployment "
        "configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
    )


def cannot_launch(service: str, error: str) -> str:
    return f"(service {service}) failed to launch a task with (error {error})."


def no_capacity(service: str) -> str:
    return (
        f"(service {service}) was unable to place a task. Reason: Capacity is unavailable at this time. "
        "Please try again later or in a different availability zone. "
        "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
    )


def not_placed(service: str, reason: str) -> str:
    return (
        f"(service {service}) was unable to place a task because no container instance met all of its requirements. "
        f"Reason: {reason} "
        "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
    )


def machine_gone(machine: str) -> str:
    return f"Host EC2 (instance {machine}) terminated."


def cannot_assume(role_arn: str) -> str:
    return (
        f"ECS was unable to assume the role '{role_arn}' that was provided for this task. Please verify that the role "
        "being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass "
        "this role"
    )


def no_log_group(stream: str) -> str:
    return (
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
        f"failed to create Cloudwatch log stream {stream}: ResourceNotFoundException: "
        "The specified log group does not exist."
    )


def in_progress(deployment: str) -> str:
    return f"ECS deployment {deployment} in progress."


def completed(deployment: str) -> str:
    return f"ECS deployment {deployment} completed."


def breaker_rolls_back(deployment: str) -> str:
    return f"ECS deployment circuit breaker: rolling back to deploymentId {deployment}"


def scaling(deployment: str) -> str:
    return f"Scaling activity initiated by (deployment {deployment})"


def _listed(tasks: Iterable[str], noun: str) -> str:
    names = [f"(task {task})" for task in tasks]
    return f"{len(names)} {noun}: {' '.join(names)}."


def no_secret(reference: str, why: str) -> str:
    return (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
        f"unable to retrieve secret from {reference}: {why}"
    )


def no_file_system(name: str, region: str) -> str:
    host = f"{name}.efs.{region}.amazonaws.com"
    return f'{_MOUNTING} stderr: Failed to resolve "{host}" - check that your file system ID is correct'


def mount_failed(reason: str) -> str:
    return f"{_MOUNTING} stderr: {reason}"


def dependency_failed(container: str, code: int) -> str:
    return f"Task failed to start: container {container}, which others depend on, exited with code {code}"
