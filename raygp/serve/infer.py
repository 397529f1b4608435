"""The Open Inference Protocol, version 2, in JSON: requests for inference and their answers.

Of a task there is one input tensor, ``sample``: BYTES of shape [N], one element a sample; or, for tasks of images,
UINT8 of shape [N, channels, height, width], pixels at the model's own size. Output tensors, of N samples and K classes:

- ``label``, BYTES [N]: the most probable class, the transcript, or the text of a number;
- ``probabilities``, FP64 [N, K], and ``classes``, BYTES [K], where answers are classes;
- ``value``, FP64 [N], where answers are numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from raygp.serve.batching import Answered
from raygp.serve.limits import Limits
from raygp.serve.messages import Refused
from raygp.serve.samples import check_number
from raygp.serve.served import Sample
from raygp.tasks.images import ImageTask
from raygp.tasks.tabular import TabularTask
from raygp.tasks.traits import labels_are_numbers

if TYPE_CHECKING:
    from raygp.tasks import ImageSpec, Task

INPUT = "sample"
"""Name of the input tensor."""
_TEXT_ENCODINGS = ("base64", "str")


@dataclass(frozen=True)
class Infer:
    """A request for inference."""

    samples: list[Sample]
    outputs: tuple[str, ...]
    """Names of the tensors that are wanted."""
    id: str | None = None
    """Given back with the answer."""


def input_tensors(task: Task) -> list[dict[str, Any]]:
    """What a task takes, as the model's metadata say it."""
    return [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}]


def output_tensors(task: Task, classes: int) -> list[dict[str, Any]]:
    """What a task gives, as the model's metadata say it."""
    label = {"name": "label", "datatype": "BYTES", "shape": [-1]}
    if task.labels_are_classes:
        shares = {"name": "probabilities", "datatype": "FP64", "shape": [-1, classes]}
        return [label, shares, {"name": "classes", "datatype": "BYTES", "shape": [classes]}]
    return [label, {"name": "value", "datatype": "FP64", "shape": [-1]}] if labels_are_numbers(task) else [label]


def read_infer(body: bytes, headers: Mapping[str, str], task: Task, limits: Limits) -> Infer:
    """A request for inference from its body.

    Args:
        body: JSON.
        headers: of the request, by name in small letters.
        task: says which tensors there are.
        limits: how many samples there may be.

    Raises:
        Refused: 4xx; the message says where in the body what is wrong.
    """
    if "inference-header-content-length" in headers:
        raise Refused(400, "binary tensor data are not supported: send tensors as JSON (binary_data=False)")
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}") from error
    if not isinstance(request, dict):
        raise Refused(400, f"the body must be a JSON object with 'inputs', not {_kind(request)}")
    _check_fields(request, ("id", "parameters", "inputs", "outputs"), "the body")
    _check_parameters(request, "", {"binary_data_output": (False,)})
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise Refused(400, f"id: must be a string, not {_kind(identity)}")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Refused(400, f"inputs: must be a list of one tensor, called '{INPUT}'")
    return Infer(_samples(inputs[0], task, limits), _outputs(request.get("outputs"), task), identity)


def inferred(request: Infer, answered: Answered, model: str) -> dict[str, Any]:
    """The answer to a request for inference.

    Raises:
        Refused: 400: a sample could not be read; the protocol has no answer for a part of a batch.
    """
    for number, answer in enumerate(answered.answers):
        if answer.problem:
            raise Refused(400, f"inputs[0].data[{number}]: {answer.problem}")
    tensors = [_tensor(name, answered) for name in request.outputs]
    said: dict[str, Any] = {"model_name": model, "model_version": answered.version}
    return said | ({} if request.id is None else {"id": request.id}) | {"outputs": tensors}


def _tensor(name: str, answered: Answered) -> dict[str, Any]:
    """One output tensor, its data flat, row by row."""
    answers, classes = answered.answers, answered.classes
    if name == "classes":
        return {"name": name, "datatype": "BYTES", "shape": [len(classes)], "data": classes}
    if name == "label":
        return {"name": name, "datatype": "BYTES", "shape": [len(answers)], "data": [a.label for a in answers]}
    if name == "value":
        values = [math.nan if a.value is None else a.value for a in answers]
        return {"name": name, "datatype": "FP64", "shape": [len(answers)], "data": values}
    rows = [dict(answer.probabilities) for answer in answers]
    data = [row[label] for row in rows for label in classes]
    return {"name": name, "datatype": "FP64", "shape": [len(answers), len(classes)], "data": data}


def _outputs(given: Any, task: Task) -> tuple[str, ...]:
    known = tuple(tensor["name"] for tensor in output_tensors(task, 0))
    if given is None or given == []:
        return known
    if not isinstance(given, list) or not all(isinstance(output, dict) for output in given):
        raise Refused(400, "outputs: must be a list of objects with a 'name'")
    for number, output in enumerate(given):
        where = f"outputs[{number}]"
        _check_fields(output, ("name", "parameters"), where)
        _check_parameters(output, f"{where}.", {"binary_data": (False,)})
        if output.get("name") not in known:
            raise Refused(400, f"{where}.name: {output.get('name')!r} is unknown; there are {', '.join(known)}")
    return tuple(dict.fromkeys(output["name"] for output in given))


def _samples(tensor: Mapping[str, Any], task: Task, limits: Limits) -> list[Sample]:
    where = "inputs[0]"
    _check_fields(tensor, ("name", "shape", "datatype", "parameters", "data"), where)
    if tensor.get("name") != INPUT:
        raise Refused(400, f"{where}.name: must be '{INPUT}', not {tensor.get('name')!r}")
    shape = _shape(tensor.get("shape"), where)
    if shape[0] == 0:
        raise Refused(400, f"{where}.shape: there is no sample")
    check_number(shape[0], limits)
    if "data" not in tensor:
        raise Refused(400, f"{where}.data is missing")
    if tensor.get("datatype") == "BYTES":
        return _encoded(tensor, shape, _is_binary(task), where)
    pictures = _pictures(task)
    if tensor.get("datatype") == "UINT8" and pictures:
        return _pixels(tensor, shape, pictures, where)
    known = "BYTES (encoded images) or UINT8 (pixels)" if pictures else "BYTES"
    raise Refused(400, f"{where}.datatype: must be {known}, not {tensor.get('datatype')!r}")


def _shape(given: Any, where: str) -> list[int]:
    whole = isinstance(given, list) and all(isinstance(size, int) and not isinstance(size, bool) for size in given)
    if not whole or not given or min(given) < 0:
        raise Refused(400, f"{where}.shape: must be a list of whole numbers, the first of them the number of samples")
    return list(given)


def _encoded(tensor: Mapping[str, Any], shape: Sequence[int], binary: bool, where: str) -> list[Sample]:
    """Encoded samples. JSON has no bytes: those of images and sound come in base64."""
    _check_parameters(tensor, f"{where}.", {"content_type": _TEXT_ENCODINGS, "binary_data": (False,)})
    encoding = (tensor.get("parameters") or {}).get("content_type", "base64" if binary else "str")
    if math.prod(shape) != shape[0]:
        raise Refused(400, f"{where}.shape: {list(shape)} must be [N] or [N, 1], one element a sample")
    elements = list(_flat(tensor["data"]))
    if len(elements) != shape[0]:
        raise Refused(400, f"{where}.data: {len(elements)} elements, but shape says {shape[0]}")
    samples: list[Sample] = []
    for number, element in enumerate(elements):
        place = f"{where}.data[{number}]"
        if not isinstance(element, str):
            raise Refused(400, f"{place}: must be a string, not {_kind(element)}")
        try:
            samples.append(base64.b64decode(element, validate=True) if encoding == "base64" else element.encode())
        except (binascii.Error, ValueError) as error:
            raise Refused(400, f"{place} is no {'base64' if encoding == 'base64' else 'text'}: {error}") from error
    return samples


def _pixels(tensor: Mapping[str, Any], shape: Sequence[int], spec: ImageSpec, where: str) -> list[Sample]:
    """Images that are decoded already, at the model's own size."""
    _check_parameters(tensor, f"{where}.", {"binary_data": (False,)})
    expected = [spec.channels, spec.image_size, spec.image_size]
    if list(shape[1:]) != expected:
        raise Refused(400, f"{where}.shape: must be [N, {', '.join(map(str, expected))}], not {list(shape)}")
    try:
        values = np.asarray(tensor["data"])
    except ValueError as error:
        raise Refused(400, f"{where}.data: its rows differ in length") from error
    if values.dtype.kind not in "iu" or values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise Refused(400, f"{where}.data: must be whole numbers from 0 to 255")
    if values.size != math.prod(shape):
        raise Refused(400, f"{where}.data: {values.size} elements, but shape says {math.prod(shape)}")
    return list(values.astype(np.uint8).reshape(shape))


def _is_binary(task: Task) -> bool:
    """Whether encoded samples are no text, as far as is known."""
    return getattr(task, "medium", None) != "text" and not isinstance(task, TabularTask)


def _pictures(task: Task) -> ImageSpec | None:
    """What becomes of an image; None if samples are no images, or are decoded in a way of their own."""
    return task.pictures if isinstance(task, ImageTask) and type(task).decode is ImageTask.decode else None


def _flat(data: Any) -> Iterator[Any]:
    if not isinstance(data, list):
        raise Refused(400, f"inputs[0].data: must be a list, not {_kind(data)}")
    for element in data:
        if isinstance(element, list):
            yield from element
        else:
            yield element


def _check_fields(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    if unknown := [name for name in given if name not in known]:
        raise Refused(400, f"{where}: unknown field {unknown[0]!r}; known are {', '.join(known)}")


def _check_parameters(given: Mapping[str, Any], where: str, known: Mapping[str, Sequence[Any]]) -> None:
    """A parameter that would be passed over might be one that the client relies on."""
    parameters = given.get("parameters")
    if parameters is None:
        return
    if not isinstance(parameters, dict):
        raise Refused(400, f"{where}parameters: must be an object, not {_kind(parameters)}")
    for name, value in parameters.items():
        if name not in known:
            raise Refused(400, f"{where}parameters.{name} is not supported; known are {', '.join(known)}")
        if value not in known[name]:
            allowed = " or ".join(json.dumps(one) for one in known[name])
            raise Refused(400, f"{where}parameters.{name}: must be {allowed}, not {json.dumps(value)}")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
