"""``README.md`` of an exported folder: a model card in the form that people know from model hubs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from raygp.adopt.making import PLAN as ADOPTED
from raygp.record import measured

_PIPELINES = {"image": "image-classification", "speech": "automatic-speech-recognition"}


def model_card(about: Mapping[str, Any], needs: Sequence[str], library: str) -> str:
    """The card of an exported version.

    Args:
        about: the content of ``raygp.json``.
        needs: packages that ``predict.py`` needs.
        library: what model hubs call the library that loads the model.
    """
    sections = [
        _front_matter(about, library),
        f"# {about['line']} {about['version']}",
        _summary(about),
        "## Use",
        _use(about, needs),
        "## Data",
        _data(about),
        "## Results",
        _results(about),
        "## Cost",
        _cost(about),
        "## Limits",
        _limits(about),
        "## Origin",
        _origin(about),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(about: Mapping[str, Any], library: str) -> str:
    metrics = about["metrics"]
    values = [
        {
            "type": metrics["name"],
            "name": f"{metrics['name']} (validation)",
            "value": metrics["validation"][metrics["name"]],
        },
        *({"type": name, "name": f"{name} (test)", "value": value} for name, value in metrics["test"].items()),
    ]
    pipeline = _PIPELINES.get(about["preprocessing"]["kind"])
    kind = pipeline or "other"
    dataset = {"name": f"{about['line']}, rows held out", "type": "private"}
    fields = {
        "license": about["license"],
        "library_name": library,
        **({"pipeline_tag": pipeline} if pipeline else {}),
        "tags": ["raygp", "sparse", about["task"]["name"], about["model"]["format"]],
        "metrics": [metrics["name"]],
        "model-index": [
            {
                "name": f"{about['line']} {about['version']}",
                "results": [{"task": {"type": kind}, "dataset": dataset, "metrics": values}],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def _summary(about: Mapping[str, Any]) -> str:
    classes, connections = about["classes"], about["connections"]
    if about["preprocessing"]["kind"] == "speech":
        does = f"Writes down speech, with {len(classes)} characters"
    elif classes:
        shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        does = f"Tells {len(classes)} classes apart: {shown}"
    else:
        does = "Predicts a number"
    adopted = about["lineage"].get("adopted_from")
    trained = "It was trained elsewhere and adopted by raygp" if adopted else "It was trained with raygp"
    sparse = "sparse" if connections["active"] < connections["total"] else "dense"
    return (
        f"{does}. The network is a {sparse} {about['task']['name']}: {connections['active']:,} of "
        f"{connections['total']:,} connections are active (density {about['density']:.3f}). {trained}, "
        "which keeps a model up to date while labelled data arrive."
        "\n\nMeant for samples like those that it was trained on (see Data)."
    )


def _use(about: Mapping[str, Any], needs: Sequence[str]) -> str:
    model = about["model"]
    lines = [
        "```sh",
        f"pip install {' '.join(needs)}",
        "python predict.py FILE ...",
        "```",
        "",
        f"- Model: `{model['file']}`, {about['files'][model['file']]['bytes']:,} bytes. Loads with {model['loads']}.",
        *(_tensor("Input", tensor) for tensor in model["inputs"]),
        *(_tensor("Output", tensor) for tensor in model["outputs"]),
        f"- From a file to the input: {about['preprocessing']['order']}. `raygp.json` has each step, the classes in "
        "order and the SHA-256 of each file.",
    ]
    check = about["check"]
    if check is not None:
        lines.append(
            f"- Checked before it was written: on {check['rows']} held-out rows, in batches of "
            f"{', '.join(map(str, check['batch_sizes']))}, its outputs differ from the version's by "
            f"{check['largest_difference']:.1e} at most."
        )
    return "\n".join(lines)


def _tensor(what: str, tensor: Mapping[str, Any]) -> str:
    shape = " x ".join(map(str, tensor["shape"]))
    return f"- {what} `{tensor['name']}`: {tensor['dtype']}, {shape}; {tensor['meaning']}."


def _data(about: Mapping[str, Any]) -> str:
    rows = []
    for arrival in about["lineage"]["arrivals"]:
        counts = arrival.get("rows", {})
        cells = [f"{counts.get(split, 0):,}" if counts else "-" for split in ("train", "val", "test")]
        rows.append([arrival["arrival"], arrival.get("source", "-"), *cells])
    table = _table(["arrival", "source", "training rows", "validation rows", "test rows"], rows)
    return f"Trained on {len(rows)} arrival{'' if len(rows) == 1 else 's'}, in this order.\n\n{table}"


def _results(about: Mapping[str, Any]) -> str:
    metrics, name = about["metrics"], about["metrics"]["name"]
    # R2 is no share, and is not read in per cent.
    no_share = "" if about["classes"] else name
    of_val = metrics["validation"]
    rows = [["validation", _count(of_val["rows"]), name, measured(of_val[name], no_share)]]
    rows += [
        ["test", _count(metrics["test_rows"] or None), metric, measured(value, no_share)]
        for metric, value in metrics["test"].items()
    ]
    parts = [_table(["split", "rows", "metric", "value"], rows)]
    if against := metrics.get("divided_by"):
        value = f", here {against['deviation']:.6g}" if "deviation" in against else ""
        parts.append(
            f"{name} is 1 less the mean squared error, divided by the squared deviation of the first arrival's "
            f"training labels{value}: 0 is no better than to answer their mean always."
        )
    if about.get("quantized"):
        parts.append(_quantized(about["quantized"], no_share))
    for title, key in (("By arrival", "by_arrival"), ("By class", "by_class")):
        if metrics[key]:
            compared = metrics[key].items()
            rows = [[part, _count(found["rows"]), measured(found["accuracy"], no_share)] for part, found in compared]
            parts.append(f"{title}, on validation rows:\n\n" + _table([key[3:], "rows", name], rows))
    return "\n\n".join(parts)


def _quantized(found: Mapping[str, Any], no_share: str) -> str:
    ours, version = (measured(found[whose], no_share) for whose in ("quantized", "version"))
    return (
        f"These are of the version itself. This file is quantized to {found['kind']}: on {found['rows']} held-out rows "
        f"its {found['metric']} is {ours}, the version's {version}."
    )


def _cost(about: Mapping[str, Any]) -> str:
    cost = about["cost"]
    return (
        f"The update that made this version: {cost['examples']:,.0f} examples, {cost['sparse_flops'] / 1e12:,.3g} "
        f"TFLOP over active connections ({cost['dense_flops'] / 1e12:,.3g} if all were), {cost['worker_seconds']:,.0f} "
        "worker-seconds."
    )


def _limits(about: Mapping[str, Any]) -> str:
    lines = ["- Accuracies were measured on held-out rows of the arrivals above. Other data were not tried."]
    if about["preprocessing"]["kind"] != "speech" and about["classes"]:
        lines.append("- It answers with one of its classes whatever it is shown.")
    if about["preprocessing"]["kind"] == "image":
        lines.append(
            "- `predict.py` decodes with Pillow, whose pixels differ from raygp's by 2 of 255 at most where an image "
            "is scaled or turned to grey. It refuses images of more than 8 bits a channel."
        )
    lines.append("- Whom its answers may harm, and whether its data are fair, nobody has looked at yet: say it here.")
    return "\n".join(lines)


def _origin(about: Mapping[str, Any]) -> str:
    lineage = about["lineage"]
    made = "adopted in place of" if lineage["plan"].get("name") == ADOPTED else "made from"
    parent = f"{made} {lineage['parent']}" if lineage["parent"] else "the first of its line"
    return (
        f"Version {lineage['version']}, {parent}, by update `{lineage['update']}` with plan "
        f"`{lineage['plan'].get('name')}` and seed {lineage['seed']}, {lineage['created']}. Exported by "
        f"{about['made_by']}, {about['exported']}. Digests of its arrivals stand in `raygp.json`."
    )


def _count(rows: int | None) -> str:
    return "-" if rows is None else f"{rows:,}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
