"""The fields that our manifests for KubeRay may have, and what each may hold.

Names and types are those of KubeRay 1.7's custom resources (Apache License 2.0) and of Kubernetes' pods, but for the
fields that no manifest of ours uses. Whoever uses another one adds it here, from the published schema.
"""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
YES_NO: dict[str, Any] = {"type": "boolean"}
QUANTITY: dict[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"}
QUANTITIES: dict[str, Any] = {"type": "object", "additionalProperties": QUANTITY}


def fields(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def many(item: dict[str, Any]) -> dict[str, Any]:
    """A list of these, at least one."""
    return {"type": "array", "items": item, "minItems": 1}


SECRET = fields("secretKeyRef", secretKeyRef=fields("name", "key", name=TEXT, key=TEXT))
CONTAINER = fields(
    "name",
    name=TEXT,
    image=TEXT,
    env=many(fields("name", name=TEXT, value={"type": "string"}, valueFrom=SECRET)),
    ports=many(fields("containerPort", name=TEXT, containerPort=COUNT)),
    resources=fields(requests=QUANTITIES, limits=QUANTITIES),
)
POD = fields(
    "spec",
    spec=fields(
        "containers", serviceAccountName=TEXT, terminationGracePeriodSeconds=COUNT, containers=many(CONTAINER)
    ),
)
CLUSTER = fields(
    "headGroupSpec",
    rayVersion=TEXT,
    authOptions=fields(mode={"enum": ["disabled", "token"]}),
    enableInTreeAutoscaling=YES_NO,
    autoscalerOptions=fields(
        idleTimeoutSeconds=COUNT, upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]}
    ),
    headGroupSpec=fields("template", rayStartParams=TEXTS, template=POD),
    workerGroupSpecs=many(
        fields(
            "groupName", "maxReplicas", "minReplicas", "template",
            groupName=TEXT, replicas=COUNT, minReplicas=COUNT, maxReplicas=COUNT, rayStartParams=TEXTS, template=POD,
        )
    ),
)  # fmt: skip
JOB = fields(
    entrypoint=TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    shutdownAfterJobFinishes=YES_NO,
    ttlSecondsAfterFinished=COUNT,
    backoffLimit=COUNT,
    rayClusterSpec=CLUSTER,
)
SPECS = {
    "RayJob": JOB,
    "RayCronJob": fields("schedule", "jobTemplate", schedule=TEXT, timeZone=TEXT, suspend=YES_NO, jobTemplate=JOB),
    "RayService": fields(
        "rayClusterConfig",
        serveConfigV2=TEXT,
        serviceUnhealthySecondThreshold=COUNT,
        deploymentUnhealthySecondThreshold=COUNT,
        rayClusterConfig=CLUSTER,
    ),
}
"""What stands under ``spec``, by kind."""


def schema(kind: str) -> dict[str, Any]:
    """JSON schema of a whole manifest.

    Args:
        kind: one of :data:`SPECS`.
    """
    named = fields(name=TEXT, generateName=TEXT, labels=TEXTS) | {"minProperties": 1}
    return fields(
        "apiVersion", "kind", "metadata", "spec",
        apiVersion={"const": "ray.io/v1"}, kind={"const": kind}, metadata=named, spec=SPECS[kind],
    )  # fmt: skip
