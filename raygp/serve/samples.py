"""Samples in plain requests: the body is one sample, or a form of several files."""

from __future__ import annotations

import email.errors
import email.parser
import email.policy
from collections.abc import Mapping, Sequence
from typing import Any

from raygp.serve.batching import Answered
from raygp.serve.limits import Limits
from raygp.serve.messages import Refused

_TOP = 5
"""Classes that are listed unless the client says how many."""
Named = tuple[str, bytes]
"""Name and content of a file."""


def read_samples(content_type: str, body: bytes, limits: Limits) -> tuple[list[Named], bool]:
    """The samples of a request to ``/predict``.

    Args:
        content_type: of the request. ``multipart/form-data``: each part is a sample. Anything else: the body is one,
            whatever its type is called; what it is, decoding finds out.
        body: of the request.
        limits: how many there may be.

    Returns:
        Names and samples, and whether they came in a form.

    Raises:
        Refused: there is no sample, there are too many, or the form cannot be read.
    """
    if not body:
        raise Refused(400, "the body is empty: send the content of a file, as curl --data-binary @FILE does")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        return [("", body)], False
    files = _files(content_type, body)
    check_number(len(files), limits)
    return files, True


def check_number(samples: int, limits: Limits) -> None:
    """Raises Refused where a request has too many samples."""
    if samples > limits.max_batch:
        raise Refused(413, f"{samples} samples in a request; at most {limits.max_batch} are answered: send several")


def read_top(query: Mapping[str, str]) -> int:
    """How many classes the client wants, from ``?top=N``. Raises Refused where that is no number from 1 on."""
    text = query.get("top", str(_TOP))
    if not (text.isascii() and text.isdigit() and int(text[:9]) >= 1):
        raise Refused(400, f"top={text}: must be a whole number from 1 on")
    return int(text[:9])


def predicted(answered: Answered, files: Sequence[Named], form: bool, model: str, top: int) -> dict[str, Any]:
    """What ``/predict`` replies.

    Raises:
        Refused: 400: no sample could be read; the message says why.
    """
    problems = [answer.problem for answer in answered.answers]
    if all(problems):
        named = [f"{name or 'a file'}: {problem}" for (name, _), problem in zip(files, problems, strict=True)]
        raise Refused(400, "; ".join(named) if form else f"the sample cannot be read: {problems[0]}")
    head = {"model": model, "version": answered.version}
    if not form:
        return head | answered.answers[0].plain(top)
    named_answers = [{"file": name} | a.plain(top) for (name, _), a in zip(files, answered.answers, strict=True)]
    return head | {"answers": named_answers}


def _files(content_type: str, body: bytes) -> list[Named]:
    """The parts of a form. The standard library reads them as parts of a mail, which they are by RFC 7578."""
    if "boundary=" not in content_type:
        raise Refused(400, "Content-Type: multipart/form-data without a boundary: let your client make the form")
    if "\n" in content_type or "\r" in content_type:
        raise Refused(400, "Content-Type: must be one line")
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise Refused(400, "the form has no parts: does its boundary match the one in Content-Type?")
    if any(isinstance(defect, email.errors.CloseBoundaryNotFoundDefect) for defect in message.defects):
        raise Refused(400, "the form breaks off: the boundary that closes it is missing")
    files: list[Named] = []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        name = part.get_filename() or part.get_param("name", "", header="content-disposition") or ""
        if not isinstance(content, bytes) or not content:
            raise Refused(400, f"part {len(files) + 1} of the form ({name or 'without a name'}) is empty")
        files.append((str(name), content))
    if not files:
        raise Refused(400, "the form has no files")
    return files
