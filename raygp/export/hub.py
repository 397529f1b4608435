"""``config.json`` of an exported folder: class names where model hubs and their libraries look for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygp.export.whole import Subject


def hub_config(subject: Subject, preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``config.json``, in the layout that Hugging Face's libraries share; empty where there are no
    classes. Of a timm model it has what timm wants to know, so that ``timm.create_model("local-dir:FOLDER")`` makes the
    model and loads a ``model.safetensors`` beside it.

    Args:
        subject: the version.
        preprocessing: as in ``raygp.json``.
    """
    task, classes = subject.task, subject.card.classes
    if not task.labels_are_classes:
        return {}
    spec = task.spec.model_dump(mode="json")
    config: dict[str, Any] = {
        "model_type": spec.get("model") or spec["name"],
        "num_labels": len(classes),
        "id2label": {str(number): name for number, name in enumerate(classes)},
        "label2id": {name: number for number, name in enumerate(classes)},
    }
    if preprocessing["kind"] == "image":
        config |= {"image_size": preprocessing["height"], "num_channels": preprocessing["channels"]}
    if spec["name"] == "timm" and preprocessing["kind"] == "image":
        sides = [preprocessing["channels"], preprocessing["height"], preprocessing["width"]]
        config |= {
            "architecture": spec["model"].partition(".")[0],
            "num_classes": len(classes),
            "label_names": list(classes),
            "model_args": {**spec.get("arguments", {}), "in_chans": preprocessing["channels"]},
            "pretrained_cfg": {
                "input_size": sides,
                "fixed_input_size": False,
                "interpolation": "bilinear",
                "crop_pct": 1.0,
                "crop_mode": "center",
                "mean": preprocessing["mean"],
                "std": preprocessing["std"],
                "num_classes": len(classes),
            },
        }
    return config
