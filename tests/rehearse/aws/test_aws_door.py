"""What the emulated AWS answers whom, what it logs, and what faults do to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloud import EAST, WEST, Cloud, until
from moto.iam.models import AWSManagedPolicy, iam_backends

from arriero.errors import ArrieroError, Refused
from arriero.rehearse.aws.emulator import AwsEmulator
from arriero.rehearse.emulator import Fault, FaultKind
from arriero.rehearse.latency import Latency
from arriero.rehearse.processes import Processes

STRANGER = "AKIASOMEBODYELSE0001"


def fault(kind: FaultKind, region: str = EAST, seconds: float = 2.0, target: str = "") -> Fault:
    return Fault("aws", region, kind, target, time.time() + seconds)


def refused(call: Any, *arguments: Any, **options: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as told:
        call(*arguments, **options)
    return told.value.response["Error"]["Code"], told.value.response["ResponseMetadata"]["HTTPStatusCode"]


def requests(cloud: Cloud) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (cloud.folder / "requests.jsonl").read_text().splitlines()]


def test_the_account_is_the_stages_own(cloud: Cloud) -> None:
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_what_a_stage_never_asks_for_is_neither_loaded_nor_held(cloud: Cloud) -> None:
    """IAM of one partition is 1,400 managed policies; moto would load six, and keep what a restart has replaced."""
    held = len(AWSManagedPolicy.instances_tracked)  # type: ignore[attr-defined]
    for _ in range(2):
        cloud.client("iam").list_roles()
        [partitions] = [list(account) for account in iam_backends.values()]
        assert partitions == ["aws"]
        cloud.restart()
    assert len(AWSManagedPolicy.instances_tracked) == held  # type: ignore[attr-defined]


def test_another_access_key_is_refused_as_each_service_refuses(cloud: Cloud) -> None:
    assert refused(cloud.client("sts", key=STRANGER).get_caller_identity) == ("InvalidClientTokenId", 403)
    assert refused(cloud.client("iam", key=STRANGER).list_roles) == ("InvalidClientTokenId", 403)
    assert refused(cloud.client("ecs", key=STRANGER).list_clusters) == ("UnrecognizedClientException", 400)
    assert refused(cloud.client("ec2", key=STRANGER).describe_vpcs) == ("AuthFailure", 401)
    assert refused(cloud.client("s3", key=STRANGER).list_buckets) == ("InvalidAccessKeyId", 403)
    assert refused(cloud.client("efs", key=STRANGER).describe_file_systems) == ("UnrecognizedClientException", 403)


def test_what_is_not_emulated_is_said(cloud: Cloud) -> None:
    code, status = refused(cloud.client("pricing").describe_services)
    assert (code, status) == ("NotEmulated", 501)


def test_a_throttled_region_says_so_and_the_others_answer(cloud: Cloud) -> None:
    cloud.aws.apply(fault("throttle", seconds=1.0))
    assert refused(cloud.client("ecs").list_clusters) == ("ThrottlingException", 400)
    assert refused(cloud.client("ec2").describe_vpcs) == ("RequestLimitExceeded", 503)
    assert cloud.client("ecs", WEST).list_clusters()["clusterArns"] == []
    assert cloud.client("iam").list_roles()["Roles"] == []
    until(lambda: time.sleep(0.2) or answers(cloud, EAST), 4)


def test_a_refused_region_answers_nothing_and_its_servers_neither(cloud: Cloud) -> None:
    cloud.service("llm", cloud.definition("llm"), 1)
    until(lambda: cloud.is_stable("llm"))
    [server] = [server for server in cloud.processes.all() if server.spec.region == EAST]
    cloud.aws.apply(fault("refuse", seconds=2.0))
    assert refused(cloud.client("ecs").list_clusters)[1] == 503
    assert not server.is_answering()
    until(lambda: answers(cloud, EAST) and server.is_answering(), 6)
    assert server.poll() is None


def answers(cloud: Cloud, region: str) -> bool:
    try:
        cloud.client("ecs", region).list_clusters()
    except ClientError:
        return False
    return True


def test_a_spot_eviction_warns_first_and_on_demand_stays(cloud: Cloud) -> None:
    strategy = [
        {"capacityProvider": "FARGATE", "base": 1, "weight": 0},
        {"capacityProvider": "FARGATE_SPOT", "base": 0, "weight": 1},
    ]
    cloud.service("llm", cloud.definition("llm"), 2, capacityProviderStrategy=strategy)
    until(lambda: cloud.is_stable("llm"))
    by_provider = {task["capacityProviderName"]: task for task in cloud.tasks("llm")}
    [line] = cloud.aws.apply(Fault("aws", EAST, "evict"))
    assert by_provider["FARGATE_SPOT"]["taskArn"].rpartition("/")[2] in line
    [gone] = until(lambda: [t for t in cloud.tasks("llm", "STOPPED") if t["lastStatus"] == "STOPPED"])
    assert (gone["taskArn"], gone["stopCode"]) == (by_provider["FARGATE_SPOT"]["taskArn"], "SpotInterruption")
    assert gone["stoppedReason"] == "Your Spot Task was interrupted."
    until(lambda: cloud.described("llm")["runningCount"] == 2)
    assert by_provider["FARGATE"]["taskArn"] in [task["taskArn"] for task in cloud.tasks("llm")]


def test_where_spot_is_gone_nothing_comes_in_its_place_until_it_is_back(cloud: Cloud) -> None:
    strategy = [
        {"capacityProvider": "FARGATE", "base": 1, "weight": 0},
        {"capacityProvider": "FARGATE_SPOT", "base": 0, "weight": 1},
    ]
    zone = cloud.second_zone()
    cloud.service("mix", cloud.definition("mix"), 5, capacityProviderStrategy=strategy)
    until(lambda: cloud.is_stable("mix"))
    spot = [task for task in cloud.tasks("mix") if task["capacityProviderName"] == "FARGATE_SPOT"]
    assert [task["availabilityZone"] for task in spot].count(zone) == 2
    cloud.aws.apply(Fault("aws", EAST, "no-spot", until=time.time() + 4))
    lines = cloud.aws.apply(Fault("aws", EAST, "evict", share=0.5, zone=zone))
    assert len(lines) == 1
    until(lambda: cloud.described("mix")["runningCount"] == 4)
    said = [event["message"] for event in cloud.described("mix")["events"]]
    assert any("(service mix) was unable to place a task. Reason: Capacity is unavailable at" in text for text in said)
    assert len(cloud.tasks("mix")) == 4
    until(lambda: len(cloud.tasks("mix")) == 5, 15)
    until(lambda: cloud.described("mix")["runningCount"] == 5)
    back = max(cloud.tasks("mix"), key=lambda task: task["startedAt"])
    assert (back["capacityProviderName"], back["availabilityZone"]) == ("FARGATE_SPOT", zone)


def test_faults_of_what_is_not_there_are_refused(cloud: Cloud) -> None:
    with pytest.raises(Refused, match="no task nobody runs in us-east-1"):
        cloud.aws.apply(fault("kill", target="nobody"))
    with pytest.raises(Refused, match="needs an end in the future"):
        cloud.aws.apply(Fault("aws", EAST, "slow"))


def test_every_call_is_logged_with_region_client_and_whether_it_writes(cloud: Cloud) -> None:
    cloud.client("ecs", WEST).create_cluster(clusterName="llm")
    cloud.client("ecs", WEST).describe_clusters(clusters=["llm"])
    cloud.client("s3").list_buckets()
    made, read, listed = requests(cloud)
    assert (made["action"], made["name"], made["region"], made["writes"]) == ("ecs:CreateCluster", "llm", WEST, True)
    assert (read["action"], read["writes"], read["status"]) == ("ecs:DescribeClusters", False, 200)
    assert (listed["action"], listed["writes"]) == ("s3:ListBuckets", False)
    assert "Boto3/" in made["client"]


def test_one_of_sixteen_creates_the_object(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket="lease")
    clients = [cloud.client("s3") for _ in range(16)]

    def create(client: Any) -> str:
        try:
            client.put_object(Bucket="lease", Key="held", Body=b"x", IfNoneMatch="*")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "created"

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, clients)) == ["PreconditionFailed"] * 15 + ["created"]


def test_a_damaged_state_is_an_error_with_its_remedy(cloud: Cloud, tmp_path: Path) -> None:
    cloud.client("ecs").create_cluster(clusterName="llm")
    cloud.aws.stop()
    state = tmp_path / "aws.state"
    state.write_bytes(state.read_bytes()[:-10])
    broken = AwsEmulator(tmp_path, cloud.processes, Latency(), 0)
    with pytest.raises(ArrieroError) as told:
        broken.start()
    [problem] = told.value.problems
    assert "aws.state" in problem.file
    assert "damaged" in problem.what
    assert "rehearse reset" in problem.remedy


def test_no_file_holds_what_the_cloud_keeps_secret_and_it_is_there_after_a_restart(
    cloud: Cloud, tmp_path: Path
) -> None:
    values = ("planted-in-secrets-manager-6f20", "planted-in-ssm-6f20")
    cloud.client("secretsmanager").create_secret(Name="hf", SecretString=values[0])
    cloud.client("ssm").put_parameter(Name="/proxy", Value=values[1], Type="SecureString")
    cloud.restart()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "aws.state" in files
    assert [path.name for path in files if any(value.encode() in path.read_bytes() for value in values)] == []
    assert cloud.client("secretsmanager").get_secret_value(SecretId="hf")["SecretString"] == values[0]
    kept = cloud.client("ssm").get_parameter(Name="/proxy", WithDecryption=True)["Parameter"]
    assert kept["Value"] == values[1]
    assert (tmp_path / "aws.seal").stat().st_mode & 0o077 == 0


def test_what_each_region_has_anyway_is_not_in_the_state_and_there_after_a_restart(
    cloud: Cloud, tmp_path: Path
) -> None:
    ec2 = cloud.client("ec2")
    disk = ec2.create_volume(AvailabilityZone=f"{WEST}a", Size=1)["VolumeId"]
    own = ec2.create_snapshot(VolumeId=disk)["SnapshotId"]
    number = len(ec2.describe_snapshots()["Snapshots"])
    cloud.restart()
    assert (tmp_path / "aws.state").stat().st_size < 500_000
    ec2 = cloud.client("ec2")
    found = ec2.describe_snapshots()["Snapshots"]
    assert own in {each["SnapshotId"] for each in found}
    assert len(found) == number > 1_000
    disks = {
        mapping["Ebs"]["SnapshotId"]
        for image in ec2.describe_images()["Images"]
        for mapping in image["BlockDeviceMappings"]
        if "SnapshotId" in mapping.get("Ebs", {})
    }
    assert disks
    assert disks <= {each["SnapshotId"] for each in found}


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from emulated_cloud import Cloud, until
cloud = Cloud(Path(sys.argv[1]))
cloud.service("llm", cloud.definition("llm"), 1)
until(lambda: cloud.is_stable("llm"))
time.sleep(0.6)
print(cloud.aws.containers()[0].pid, flush=True)
time.sleep(60)
"""


@pytest.mark.story
def test_a_killed_stage_leaves_its_state_and_no_process(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), here], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.wait()
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2], 5)
    processes = Processes(tmp_path, {"PATH": os.environ["PATH"]})
    again = AwsEmulator(tmp_path, processes, Latency(), 0)
    again.start()
    try:
        until(lambda: len(again.containers()) == 1)
    finally:
        again.stop()
        processes.close()
