"""A version's tensors and card: written so that the card's presence is the version's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from raygp.errors import ConflictError, InputError
from raygp.store.card import Card, card_path, find_card, version_folder, version_number
from raygp.store.conditions import require_conditional_writes
from raygp.store.documents import check_format, decode, encode
from raygp.store.files import FileInfo, describe, read_checked
from raygp.store.location import Location

# torch and safetensors are imported where tensors are written or read: commands that only look at a line do neither.
if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_FORMAT = 1
"""Newest format of a weights file that this raygp reads, and the one that it writes into the file's metadata. Files of
raygp 0.1.0 hold no number; they are of format 1."""
_FORMAT_KEY = "raygp.format"
_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header, little-endian; the header is JSON."""


def write_version(location: Location, card_without_files: Card, tensors: dict[str, Tensor]) -> Card:
    """Write ``versions/<version>/weights-<hash8>.safetensors``, then the card, which makes the version exist.

    Args:
        card_without_files: its ``version`` must be higher than its ``parent``; ``files`` is filled in.
        tensors: by name, any shapes and dtypes that safetensors knows; stored row-major, bit for bit.

    Returns:
        The card as it lies in storage: the one that was there if this update had written it already.

    Raises:
        InputError: the version's name does not follow from its parent, or storage cannot keep two writers apart.
        ConflictError: another update made this version; what this call wrote is deleted.
    """
    version, update, parent = (getattr(card_without_files, name) for name in ("version", "update", "parent"))
    if (parent is None and version != "v0000") or (parent and version_number(version) <= version_number(parent)):
        raise InputError(f"version {version} cannot follow {parent or 'nothing'}")
    require_conditional_writes(location)
    existing = find_card(location, version)
    if existing is not None:
        return _own(location, existing, update)
    data = _pack(tensors)
    info = describe("weights", ".safetensors", data)
    path = f"{version_folder(version)}/{info.file}"
    location.write_bytes(path, data)
    encoded = encode(card_without_files.model_copy(update={"files": [info]}))
    try:
        location.create(card_path(version), encoded)
    except ConflictError:
        existing = find_card(location, version)
        if existing is None:
            raise
        # The other may have made the same tensors, which lie under the same name.
        if info.file not in {file.file for file in existing.files}:
            location.delete(path)
        return _own(location, existing, update)
    return decode(Card, encoded, location.url(card_path(version)))


def remove_version(location: Location, card: Card) -> None:
    """Delete a version that was never promoted. Hold the line's lease. What was deleted already is no error."""
    # Without its card a version does not exist, so that goes first.
    location.delete(card_path(card.version))
    location.delete(version_folder(card.version), recursive=True)


def read_tensors(location: Location, card: Card) -> dict[str, Tensor]:
    """The tensors of a version, on the CPU.

    Raises:
        InputError: the file is missing, its size or SHA-256 differs, it is no safetensors, or a newer raygp wrote it in
            a format of its own.
    """
    import safetensors
    import safetensors.torch

    data, where = _read(location, card)
    try:
        return safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise InputError(f"{where} is no safetensors file: {' '.join(str(error).split())}") from error


def check_weights(location: Location, card: Card) -> None:
    """Make sure that the tensors of a version can be read, without loading torch. Raises as :func:`read_tensors`."""
    import safetensors

    data, where = _read(location, card)
    try:
        safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # It has no annotations.
    except safetensors.SafetensorError as error:
        raise InputError(f"{where} is no safetensors file: {' '.join(str(error).split())}") from error


def weights_file(location: Location, card: Card) -> FileInfo:
    """The file that holds a version's tensors.

    Raises:
        InputError: the card lists none, or several.
    """
    found = [info for info in card.files if info.file.startswith("weights-")]
    if len(found) != 1:
        where = location.url(card_path(card.version))
        raise InputError(f"{where}: files: expected one weights file, found {len(found)}")
    return found[0]


def _pack(tensors: dict[str, Tensor]) -> bytes:
    import safetensors.torch

    # Copies, because safetensors refuses tensors that share memory.
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return safetensors.torch.save(copies, metadata={_FORMAT_KEY: str(WEIGHTS_FORMAT)})


def _read(location: Location, card: Card) -> tuple[bytes, str]:
    """The content of a version's weights file, which its card vouches for, and where it lies."""
    info = weights_file(location, card)
    data = read_checked(location, version_folder(card.version), info)
    where = location.url(f"{version_folder(card.version)}/{info.file}")
    check_format(_format_of(data), WEIGHTS_FORMAT, where)
    return data, where


def _format_of(data: bytes) -> int:
    """The format that a weights file says it has. 1 where it says nothing or its header cannot be read: what is wrong
    with the header is told by safetensors itself."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    try:
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
        return int(header["__metadata__"][_FORMAT_KEY])
    except (ValueError, KeyError, TypeError):
        return 1


def _own(location: Location, existing: Card, update: str) -> Card:
    if existing.update != update:
        raise ConflictError(
            f"{location.root}: version {existing.version} was made by update {existing.update} meanwhile:"
            f" start update {update} again from there"
        )
    return existing
