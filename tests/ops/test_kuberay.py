"""The manifests in ops/kuberay: their fields exist, their commands and arguments are raygp's, their versions ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from raygp.cli import make_parser
from raygp.cluster.serve_app import ServeArguments, build
from raygp.errors import InputError
from raygp.store import Location
from tests.checkout import PROJECT
from tests.conftest import line_of_two_versions
from tests.ops.kuberay_fields import schema

FILES = sorted((PROJECT / "ops" / "kuberay").glob("*.yaml"))


def manifest(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((PROJECT / "ops" / "kuberay" / f"{name}.yaml").read_text()))


def clusters() -> list[dict[str, Any]]:
    """The cluster of every manifest."""
    watch, update, serve = (manifest(name)["spec"] for name in ("watch", "update", "serve"))
    return [watch["jobTemplate"]["rayClusterSpec"], update["rayClusterSpec"], serve["rayClusterConfig"]]


def pods() -> list[dict[str, Any]]:
    return [
        group["template"]["spec"]
        for cluster in clusters()
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_manifest_is_one_of_kuberays(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    jsonschema.Draft202012Validator(schema(content["kind"])).validate(content)


def test_a_misspelt_field_would_be_found() -> None:
    content = manifest("watch")
    content["spec"]["jobTemplate"]["rayClusterSpec"]["headGroupSpec"]["rayStartParam"] = {}
    with pytest.raises(jsonschema.ValidationError, match="rayStartParam"):
        jsonschema.Draft202012Validator(schema("RayCronJob")).validate(content)


def test_every_cluster_is_of_our_ray_asks_for_a_token_and_holds_no_key() -> None:
    pins = dict(line.split("==") for line in (PROJECT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert all(cluster["rayVersion"] == pins["ray"] for cluster in clusters())
    assert all(cluster["authOptions"] == {"mode": "token"} for cluster in clusters())
    assert all(cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0" for cluster in clusters())
    for file in FILES:
        assert not re.search(r"AKIA|aws_secret|aws_access", file.read_text(), re.IGNORECASE)


def test_every_pod_has_the_image_of_this_version_and_says_what_it_needs() -> None:
    from raygp import __version__

    for pod in pods():
        (container,) = pod["containers"]
        assert container["image"] == f"<registry>/raygp:{__version__}"
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]) and pod["serviceAccountName"]


@pytest.mark.parametrize("name", ["update", "watch"])
def test_the_entrypoint_is_a_command_of_raygp(name: str) -> None:
    spec = manifest(name)["spec"]
    entrypoint = spec["jobTemplate"]["entrypoint"] if name == "watch" else spec["entrypoint"]
    program, *words = shlex.split(entrypoint.replace("<bucket>", "bucket"))
    assert program == "raygp"
    options, rest = make_parser().parse_known_args(words)
    assert options.root == "s3://bucket/line" and all(re.fullmatch(r"[\w.]+=.+", word) for word in rest)


def serve_config() -> dict[str, Any]:
    return dict(yaml.safe_load(manifest("serve")["spec"]["serveConfigV2"]))


def test_ray_serve_accepts_the_configuration() -> None:
    from ray.serve.schema import ServeDeploySchema

    config = ServeDeploySchema.model_validate(serve_config())
    (application,) = config.applications
    module, _, function = application.import_path.partition(":")
    assert (module, function, application.name) == (build.__module__, build.__name__, "raygp")
    arguments = ServeArguments.model_validate(application.args)
    (group,) = clusters()[2]["workerGroupSpecs"]
    assert arguments.replicas <= group["replicas"] * int(group["template"]["spec"]["containers"][0]["resources"]
                                                         ["requests"]["cpu"])  # fmt: skip


def test_the_application_is_built_from_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray.serve")
    line = line_of_two_versions(Location(str(tmp_path / "line")))
    with pytest.raises(InputError, match="RAYGP_TOKEN is not set"):
        build({"root": line.root})
    monkeypatch.setenv("RAYGP_TOKEN", "0123456789abcdef")
    arguments = serve_config()["applications"][0]["args"]
    assert type(build(arguments | {"root": line.root})).__name__ == "Application"
    assert type(build({"root": line.root, "version": "v0000"})).__name__ == "Application"
    for wrong, said in (
        ({"rooot": 1}, "root: Field required; rooot"),
        ({"root": line.root, "replicas": 0}, "replicas: Input should be greater"),
        ({"root": line.root, "version": "v0009"}, "v0009"),
        ({"root": str(tmp_path / "no")}, "does not exist"),
    ):
        with pytest.raises(InputError, match=said):
            build(wrong)
