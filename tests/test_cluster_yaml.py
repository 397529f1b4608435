"""cluster.yaml: Ray accepts it, it says what SECURITY.md promises, and EC2 gets the head that it asks for."""

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills.servers import environment
from tests.checkout import PROJECT

FILE = PROJECT / "cluster.yaml"
RAY = Path(sys.executable).with_name("ray")
LAUNCH_S = 120


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text()))


def check(config: dict[str, Any]) -> dict[str, Any]:
    """What Ray makes of it.

    Raises:
        Exception: Ray's own, if there is something wrong with it.
    """
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(config)
    validate_config(prepared)
    return dict(prepared)


def test_ray_accepts_the_file(config: dict[str, Any]) -> None:
    prepared = check(config)
    assert set(prepared["available_node_types"]) == {"head", "decode", "train-spot", "train-on-demand"}


def test_ray_would_not_accept_a_misspelt_field(config: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="idle_timeout_minuts"):
        check(config | {"idle_timeout_minuts": 5})


def test_training_and_decoding_have_nodes_of_their_own(config: dict[str, Any]) -> None:
    resources = {name: node["resources"] for name, node in config["available_node_types"].items()}
    assert resources["head"] == {"CPU": 0}
    assert resources["decode"]["CPU"] > 0 and "GPU" not in resources["decode"]
    for name in ("train-spot", "train-on-demand"):
        assert resources[name] == {"CPU": 0, "GPU": 1}


def test_spot_comes_first_and_on_demand_is_the_same_machine(config: dict[str, Any]) -> None:
    spot, demand = (config["available_node_types"][name] for name in ("train-spot", "train-on-demand"))
    assert spot["priority"] > demand["priority"]
    assert spot["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert demand["node_config"] == spot["node_config"] | {"InstanceMarketOptions": {}}


def test_nothing_is_kept_for_long_and_no_key_is_in_the_file(config: dict[str, Any]) -> None:
    assert 0 < config["idle_timeout_minutes"] <= 15
    for node in config["available_node_types"].values():
        assert node.get("min_workers", 0) == 0
        assert node["node_config"]["IamInstanceProfile"]["Name"]
        assert node["node_config"]["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in node["node_config"]["BlockDeviceMappings"])
    assert not re.search(r"AKIA|aws_secret|aws_access", FILE.read_text(), re.IGNORECASE)


def test_every_process_asks_for_the_token_and_the_dashboard_stays_on_loopback(config: dict[str, Any]) -> None:
    starts = [
        command
        for key in ("head_start_ray_commands", "worker_start_ray_commands")
        for command in config[key]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]


def test_nodes_get_the_versions_that_the_project_pins(config: dict[str, Any]) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["s3"]]
    names = [re.split(r"[<>=]", requirement)[0] for requirement in wanted]
    exact = dict(line.split("==") for line in (PROJECT / "constraints.txt").read_text().splitlines() if "==" in line)
    versions = {name.lower(): version for name, version in exact.items()}
    (command,) = config["setup_commands"]
    pins = {word.strip("'") for word in command.split() if "==" in word}
    assert pins == {f"{name}=={versions[name.split('[')[0].lower()]}" for name in names}
    ray = next(pin.split("==")[1] for pin in pins if pin.startswith("ray["))
    images = [config["docker"]["head_image"], config["docker"]["worker_image"]]
    images += [node["docker"]["worker_image"] for node in config["available_node_types"].values() if "docker" in node]
    assert all(image.startswith(f"rayproject/ray:{ray}-py311-") for image in images)


def test_every_field_is_explained() -> None:
    """A comment stands above or within each block between empty lines."""
    for block in FILE.read_text().split("\n\n"):
        assert "#" in block, block


@pytest.fixture
def ec2(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    boto3 = pytest.importorskip("boto3")
    for name, value in environment(moto).items():
        monkeypatch.setenv(name, value)
    return boto3.client("ec2", region_name="us-west-2")


def test_ray_up_launches_the_head_that_the_file_asks_for(ec2: Any, config: dict[str, Any], tmp_path: Path) -> None:
    import boto3

    iam = boto3.client("iam")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    text = FILE.read_text()
    for role in ("head", "worker"):
        iam.create_instance_profile(InstanceProfileName=f"raygp-{role}")
        group = ec2.create_security_group(GroupName=f"raygp-{role}", Description="raygp", VpcId=vpc)["GroupId"]
        text = text.replace(f"<sg-{role}>", group)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    # Simulated EC2 does not resolve parameters.
    text = re.sub(r"resolve:ssm:\S+", image, text)
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    # Key pairs and caches go below HOME.
    command = [str(RAY), "up", "--yes", "--no-config-cache", str(file)]
    log = tmp_path / "ray-up.log"
    with log.open("w") as out:
        up = subprocess.Popen(
            command, env=dict(os.environ) | {"HOME": str(tmp_path)}, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + LAUNCH_S
            # An instance can be seen before all that was asked for is part of it.
            while "Launched instance" not in log.read_text() and up.poll() is None and time.monotonic() < deadline:
                time.sleep(0.5)
        finally:
            # It goes on to wait for SSH, which a simulated machine does not answer.
            up.terminate()
            up.wait(30)
    found = ec2.describe_instances()["Reservations"]
    assert found, log.read_text()
    (instance,) = found[0]["Instances"]
    wanted = config["available_node_types"]["head"]["node_config"]
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert instance["InstanceType"] == wanted["InstanceType"]
    assert instance["IamInstanceProfile"]["Arn"].endswith("/raygp-head")
    assert [group["GroupName"] for group in instance["SecurityGroups"]] == ["raygp-head"]
    assert instance["Placement"]["AvailabilityZone"] == "us-west-2a"
    assert (tags["ray-cluster-name"], tags["ray-user-node-type"]) == ("raygp", "head")
    (disk,) = instance["BlockDeviceMappings"]
    (volume,) = ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (100, "gp3", True)
