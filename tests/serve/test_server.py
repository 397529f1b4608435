"""Requests and what they are answered, over a line of real digits."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raygp
from raygp.line import Line
from raygp.serve.access import token_hash
from raygp.serve.messages import Request
from raygp.serve.server import Server
from tests.serve.asking import ask, pieces, replies, request, server_of
from tests.serve.conftest import HELD_OUT, promote_child

FILES = [sample.load() for sample in HELD_OUT[:8]]
INFER = "/v2/models/digits/infer"


@pytest.fixture(scope="module")
def server(served_line: Path) -> Iterator[Server]:
    with server_of(raygp.open(str(served_line)), max_batch=8, max_bytes=200_000) as server:
        yield server


@pytest.fixture(scope="module")
def expected(served_line: Path) -> list[Any]:
    """The version's own answers."""
    head = raygp.open(str(served_line)).head
    assert head is not None
    return list(head.predict(FILES))


def encoded(files: list[bytes], **changes: Any) -> dict[str, Any]:
    """A request for inference."""
    data = [base64.b64encode(file).decode() for file in files]
    return {"inputs": [{"name": "sample", "shape": [len(files)], "datatype": "BYTES", "data": data} | changes]}


# -- plain ------------------------------------------------------------------------------------------------------------


def test_the_content_of_a_file_is_answered_with_classes_and_the_version(server: Server, expected: list[Any]) -> None:
    status, said = ask(server, "POST", "/predict", FILES[0], {"content-type": "image/png"})
    assert (status, said["model"], said["version"], said["label"]) == (200, "digits", "v0000", expected[0].label)
    assert list(said["probabilities"].items()) == [
        (name, pytest.approx(value)) for name, value in expected[0].probabilities[:5]
    ]
    assert len(ask(server, "POST", "/predict", FILES[0], top="3")[1]["probabilities"]) == 3
    assert len(ask(server, "POST", "/predict", FILES[0], top="99")[1]["probabilities"]) == 10


def form(files: list[tuple[str, bytes]], boundary: str = "7c0f") -> bytes:
    """A form as curl -F makes it."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


FORM = {"content-type": "multipart/form-data; boundary=7c0f"}


def test_a_form_of_files_is_answered_file_by_file(server: Server, expected: list[Any]) -> None:
    files = [(f"{number}.png", file) for number, file in enumerate(FILES[:3])] + [("notes.txt", b"no image")]
    status, said = ask(server, "POST", "/predict", form(files), FORM)
    assert status == 200 and [one["file"] for one in said["answers"]] == ["0.png", "1.png", "2.png", "notes.txt"]
    assert [one.get("label") for one in said["answers"]] == [answer.label for answer in expected[:3]] + [None]
    assert said["answers"][3]["error"]
    status, said = ask(server, "POST", "/predict", form([("notes.txt", b"no image")]), FORM)
    assert status == 400 and said["error"].startswith("notes.txt: ")


def test_files_come_out_of_a_form_byte_by_byte(server: Server) -> None:
    from raygp.serve.limits import Limits
    from raygp.serve.samples import read_samples

    draw = random.Random(0)
    contents = [bytes(draw.choices(b"\r\n-\x00a\xff", k=draw.randint(1, 60))) for _ in range(200)]
    contents += [b"\r\n", b"\n", b"\r", b"--7c0", b"\r\n--7c0", b"Content-Type: x\r\n\r\nbody"]
    files = [(f"f{number}", content) for number, content in enumerate(contents)]
    found, _ = read_samples(FORM["content-type"], form(files), Limits(max_batch=1000))
    assert found == files


# -- Open Inference Protocol ------------------------------------------------------------------------------------------


def test_a_batch_is_answered_in_tensors(server: Server, expected: list[Any]) -> None:
    status, said = ask(server, "POST", INFER, encoded(FILES) | {"id": "mine"})
    assert status == 200
    assert (said["model_name"], said["model_version"], said["id"]) == ("digits", "v0000", "mine")
    tensors = {tensor["name"]: tensor for tensor in said["outputs"]}
    assert tensors["label"] == {
        "name": "label", "datatype": "BYTES", "shape": [8], "data": [answer.label for answer in expected],
    }  # fmt: skip
    classes = tensors["classes"]["data"]
    rows = np.array(tensors["probabilities"]["data"]).reshape(tensors["probabilities"]["shape"])
    assert rows.shape == (8, 10)
    for row, answer in zip(rows, expected, strict=True):
        assert dict(zip(classes, row, strict=True)) == pytest.approx(dict(answer.probabilities))


def test_pixels_are_answered_as_the_files_that_they_are_of(served_line: Path, server: Server) -> None:
    head = raygp.open(str(served_line)).head
    assert head is not None
    pixels = np.stack([head.task.decode(file) for file in FILES[:2]])
    tensor = {"name": "sample", "shape": [2, 1, 28, 28], "datatype": "UINT8"}
    outputs = ask(server, "POST", INFER, encoded(FILES[:2]))[1]["outputs"]
    for data in (pixels.tolist(), pixels.flatten().tolist()):
        said = ask(server, "POST", INFER, {"inputs": [tensor | {"data": data}]})[1]
        for ours, theirs in zip(said["outputs"], outputs, strict=True):
            near = ours["data"] if ours["datatype"] == "BYTES" else pytest.approx(ours["data"])
            assert near == theirs["data"]


def test_only_the_outputs_that_are_asked_for_are_given(server: Server) -> None:
    said = ask(server, "POST", INFER, encoded(FILES[:1]) | {"outputs": [{"name": "label"}]})[1]
    assert [tensor["name"] for tensor in said["outputs"]] == ["label"]


def test_the_model_says_what_it_takes_and_gives(server: Server) -> None:
    status, said = ask(server, "GET", "/v2/models/digits")
    assert status == 200 and (said["name"], said["versions"]) == ("digits", ["v0000"])
    assert said["inputs"] == [{"name": "sample", "datatype": "BYTES", "shape": [-1]}]
    assert [(tensor["name"], tensor["shape"]) for tensor in said["outputs"]] == [
        ("label", [-1]), ("probabilities", [-1, 10]), ("classes", [10]),
    ]  # fmt: skip
    assert ask(server, "GET", "/v2") == (200, {"name": "raygp", "version": raygp.__version__, "extensions": []})
    for path in ("/v2/models/digits/ready", "/v2/models/digits/versions/v0000/ready", "/v2/health/ready"):
        assert ask(server, "GET", path) == (200, {"ready": True})
    assert ask(server, "GET", "/v2/health/live") == (200, {"live": True})


def test_a_version_that_is_asked_for_by_name_is_the_one_that_answers(server: Server) -> None:
    versions = "/v2/models/digits/versions"
    assert ask(server, "POST", f"{versions}/v0000/infer", encoded(FILES[:1]))[0] == 200
    status, said = ask(server, "POST", f"{versions}/v0009/infer", encoded(FILES[:1]))
    assert status == 404 and said["error"] == "version v0009 does not answer here; v0000 does"


TENSOR = {"name": "sample", "shape": [1], "datatype": "BYTES", "data": ["aGk="]}
PIXELS = {"name": "sample", "shape": [1, 1, 28, 28], "datatype": "UINT8"}


def with_tensor(**changes: Any) -> dict[str, Any]:
    return {"inputs": [TENSOR | changes]}


BAD_INFER = [
    (b"{", "the body is no JSON"),
    (b"\xff\xfe", "the body is no JSON"),
    (b"[" * 100_000, "the body is no JSON"),
    ([], "must be a JSON object with 'inputs', not a list"),
    ({}, "inputs: must be a list of one tensor"),
    ({"inputs": [TENSOR, TENSOR]}, "inputs: must be a list of one tensor"),
    ({"inputs": [3]}, "inputs: must be a list of one tensor"),
    ({"inputs": [TENSOR], "id": 7}, "id: must be a string, not a number"),
    ({"inputs": [TENSOR], "input": []}, "the body: unknown field 'input'"),
    ({"inputs": [TENSOR], "parameters": {"binary_data_output": True}}, "parameters.binary_data_output: must be false"),
    ({"inputs": [TENSOR], "outputs": [{"name": "logits"}]}, "outputs[0].name: 'logits' is unknown; there are label"),
    ({"inputs": [TENSOR], "outputs": "label"}, "outputs: must be a list of objects"),
    ({"inputs": [TENSOR], "outputs": [{"name": "label", "parameters": {"classification": 3}}]},
     "outputs[0].parameters.classification is not supported"),
    (with_tensor(name="image"), "inputs[0].name: must be 'sample', not 'image'"),
    (with_tensor(datatype="FP32"), "inputs[0].datatype: must be BYTES (encoded images) or UINT8 (pixels), not 'FP32'"),
    (with_tensor(shape=[]), "inputs[0].shape: must be a list of whole numbers"),
    (with_tensor(shape=[True]), "inputs[0].shape: must be a list of whole numbers"),
    (with_tensor(shape=[-1]), "inputs[0].shape: must be a list of whole numbers"),
    (with_tensor(shape=[0], data=[]), "inputs[0].shape: there is no sample"),
    (with_tensor(shape=[1, 2]), "inputs[0].shape: [1, 2] must be [N] or [N, 1]"),
    (with_tensor(shape=[2]), "inputs[0].data: 1 elements, but shape says 2"),
    (with_tensor(data="aGk="), "inputs[0].data: must be a list, not a string"),
    (with_tensor(data=[3]), "inputs[0].data[0]: must be a string, not a number"),
    (with_tensor(data=["?"]), "inputs[0].data[0] is no base64"),
    (with_tensor(parameters={"content_type": "png"}), 'parameters.content_type: must be "base64" or "str", not "png"'),
    (with_tensor(parameters=[]), "inputs[0].parameters: must be an object"),
    (with_tensor(data=["aGk="]), "inputs[0].data[0]: "),
    ({"inputs": [PIXELS | {"shape": [1, 3, 28, 28], "data": []}]}, "inputs[0].shape: must be [N, 1, 28, 28], not"),
    ({"inputs": [PIXELS | {"data": [[1, 2], [3]]}]}, "inputs[0].data: its rows differ in length"),
    ({"inputs": [PIXELS | {"data": [256] * 784}]}, "inputs[0].data: must be whole numbers from 0 to 255"),
    ({"inputs": [PIXELS | {"data": [0.5] * 784}]}, "inputs[0].data: must be whole numbers from 0 to 255"),
    ({"inputs": [PIXELS | {"data": [1, 2]}]}, "inputs[0].data: 2 elements, but shape says 784"),
    ({"inputs": [{"name": "sample", "shape": [1], "datatype": "BYTES"}]}, "inputs[0].data is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), BAD_INFER, ids=[message[:50] for _, message in BAD_INFER])
def test_a_bad_request_is_told_what_is_wrong_with_it(body: Any, message: str, server: Server) -> None:
    status, said = ask(server, "POST", INFER, body)
    assert status == 400 and message in said["error"]


def test_binary_tensors_are_refused(server: Server) -> None:
    status, said = ask(server, "POST", INFER, b"{}xx", {"inference-header-content-length": "2"})
    assert status == 400 and "send tensors as JSON" in said["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "query", "status", "message"),
    [
        ("POST", "/predict", b"", {}, {}, 400, "the body is empty"),
        ("POST", "/predict", b"no image", {}, {}, 400, "the sample cannot be read"),
        ("POST", "/predict", b"x", {}, {"top": "0"}, 400, "top=0: must be a whole number from 1 on"),
        ("POST", "/predict", b"x", {}, {"top": "all"}, 400, "top=all"),
        ("POST", "/predict", b"x", {"content-type": "multipart/form-data"}, {}, 400, "without a boundary"),
        ("POST", "/predict", form([("a", b"x")])[:-9], FORM, {}, 400, "the form breaks off: the boundary that closes"),
        ("POST", "/predict", b"no form", FORM, {}, 400, "the form has no"),
        ("POST", "/predict", form([("a", b"")]), FORM, {}, 400, "part 1 of the form (a) is empty"),
        ("POST", "/predict", form([("a", b"x")] * 9), FORM, {}, 413, "9 samples in a request; at most 8"),
        ("POST", "/predict", b"x" * 200_001, {}, {}, 413, "larger than 200,000 bytes"),
        ("POST", "/predict", b"", {"content-length": "200001"}, {}, 413, "larger than 200,000 bytes"),
        ("POST", INFER, encoded([b"x"] * 9), {}, {}, 413, "9 samples in a request; at most 8"),
        ("GET", "/predict", b"", {}, {}, 405, "/predict takes POST, not GET"),
        ("POST", "/v2/health/ready", b"", {}, {}, 405, "takes GET, not POST"),
        ("GET", INFER, b"", {}, {}, 405, "takes POST, not GET"),
        ("POST", "/v2/models/cats/infer", encoded([b"x"]), {}, {}, 404, "no model 'cats'; the one here is 'digits'"),
        ("GET", "/", b"", {}, {}, 404, "there are POST /predict"),
        ("GET", "/v2/models/digits/versions/", b"", {}, {}, 404, "nothing is at"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(
    method: str, path: str, body: Any, headers: dict[str, str], query: dict[str, str], status: int, message: str,
    server: Server,
) -> None:  # fmt: skip
    found, said = ask(server, method, path, body, headers, **query)
    assert found == status and message in said["error"]


# -- limits, token, figures -------------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_not_read_to_its_end(server: Server) -> None:
    read: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            read.append(1)
            yield b"x" * 50_000

    reply = asyncio.run(server.answer(Request("POST", "/predict", endless())))
    assert reply.status == 413 and len(read) == 5


def test_bodies_that_are_held_at_once_are_limited(line: Line) -> None:
    with server_of(line, max_bytes=1000) as server:
        gate = asyncio.Event()

        async def slow(size: int) -> AsyncIterator[bytes]:
            yield b"x" * size
            await gate.wait()

        async def fill() -> list[int]:
            waiting = [asyncio.create_task(server.answer(Request("POST", "/predict", slow(1000)))) for _ in range(16)]
            await asyncio.sleep(0)
            refused = await server.answer(Request("POST", "/predict", pieces(b"x")))
            gate.set()
            later = [reply.status for reply in await asyncio.gather(*waiting)]
            again = await server.answer(Request("POST", "/predict", pieces(b"no image")))
            assert refused.headers == {"Retry-After": "1"}
            return [refused.status, *set(later), again.status]

        assert asyncio.run(fill()) == [503, 400, 400]


def test_a_token_is_needed_where_there_is_one(line: Line) -> None:
    with server_of(line, token_hash("a long secret token")) as server:
        for headers, message in (
            ({}, "a token is needed"),
            ({"authorization": "Bearer another token here"}, "the token is not right"),
            ({"authorization": "Basic a long secret token"}, "the token is not right"),
            ({"authorization": "Bearer \udce9 lone half"}, "the token is not right"),
            ({"authorization": "Bearer a long secret toke"}, "the token is not right"),
        ):
            for method, path in (("POST", "/predict"), ("GET", "/metrics"), ("GET", "/status"), ("GET", "/nowhere")):
                reply = asyncio.run(server.answer(request(method, path, FILES[0], headers)))
                assert reply.status == 401 and reply.headers == {"WWW-Authenticate": "Bearer"}
                assert message in json.loads(reply.body)["error"]
        right = {"authorization": "Bearer a long secret token"}
        assert ask(server, "POST", "/predict", FILES[0], right)[0] == 200
        assert ask(server, "GET", "/v2/health/ready") == (200, {"ready": True})


def test_at_the_end_new_requests_are_refused_and_those_that_have_begun_are_answered(line: Line) -> None:
    with server_of(line) as server:

        async def end_meanwhile() -> tuple[list[int], int]:
            gate = asyncio.Event()

            async def slow() -> AsyncIterator[bytes]:
                yield FILES[0]
                await gate.wait()

            begun = asyncio.create_task(server.answer(Request("POST", "/predict", slow())))
            await asyncio.sleep(0)
            server.end()
            new = [
                await server.answer(request(*asked)) for asked in (("POST", "/predict"), ("GET", "/v2/health/ready"))
            ]
            opened = server.figures.open
            gate.set()
            return [reply.status for reply in (*new, await begun)], opened

        assert asyncio.run(end_meanwhile()) == ([503, 503, 200], 1)
        assert server.figures.open == 0


def test_requests_that_come_at_once_are_all_answered_rightly(server: Server, expected: list[Any]) -> None:
    found = replies(server, *(request("POST", "/predict", file) for file in FILES * 10))
    assert [json.loads(reply.body)["label"] for reply in found] == [answer.label for answer in expected] * 10
    assert {reply.headers["Raygp-Version"] for reply in found} == {"v0000"}


def test_it_counts_requests_latencies_and_versions(line: Line) -> None:
    with server_of(line) as server:
        for body in (FILES[0], FILES[1], b"no image"):
            ask(server, "POST", "/predict", body)
        ask(server, "POST", INFER, encoded(FILES[:3]))
        promote_child(line.location)
        server._follower.look()
        reply = asyncio.run(server.answer(request("GET", "/metrics")))
        lines = set(reply.body.decode().splitlines())
    assert reply.content_type.startswith("text/plain; version=0.0.4")
    assert {
        'raygp_serve_requests_total{replica="0",route="predict",status="200"} 2.0',
        'raygp_serve_requests_total{replica="0",route="predict",status="400"} 1.0',
        'raygp_serve_requests_total{replica="0",route="infer",status="200"} 1.0',
        'raygp_serve_request_seconds_bucket{le="+Inf",replica="0",route="predict"} 3.0',
        'raygp_serve_request_seconds_count{replica="0",route="infer"} 1.0',
        'raygp_serve_samples_total{replica="0"} 6.0',
        'raygp_serve_version{replica="0",version="v0001"} 1.0',
        'raygp_serve_switches_total{replica="0"} 1.0',
    } <= lines
    assert not any('version="v0000"' in one for one in lines)


def test_without_a_version_it_is_alive_but_not_ready(line: Line) -> None:
    line.location.delete("head.json")
    with server_of(line) as server:
        assert ask(server, "GET", "/v2/health/live") == (200, {"live": True})
        assert ask(server, "GET", "/v2/health/ready") == (503, {"ready": False})
        assert ask(server, "POST", "/predict", FILES[0])[0] == 503
        status, said = ask(server, "POST", INFER, encoded(FILES[:1]))
        assert status == 503 and "no version yet" in said["error"]
        assert ask(server, "GET", "/status")[1]["version"] is None
