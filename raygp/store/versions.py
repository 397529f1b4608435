"""A version's tensors and card: written so that the card's presence is the version's."""

from __future__ import annotations

import safetensors
import safetensors.torch
from torch import Tensor

from raygp.errors import ConflictError, InputError
from raygp.store.card import Card, card_path, find_card, version_folder, version_number
from raygp.store.conditions import require_conditional_writes
from raygp.store.documents import decode, encode
from raygp.store.files import FileInfo, describe, read_checked
from raygp.store.location import Location


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
    # Copies: safetensors refuses tensors that share memory.
    data = safetensors.torch.save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})
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
        if info.file not in {file.file for file in existing.files}:
            location.delete(path)
        return _own(location, existing, update)
    return decode(Card, encoded, location.url(card_path(version)))


def read_tensors(location: Location, card: Card) -> dict[str, Tensor]:
    """The tensors of a version, on the CPU.

    Raises:
        InputError: the file is missing, its size or SHA-256 differs, or it is no safetensors.
    """
    info = weights_file(location, card)
    data = read_checked(location, version_folder(card.version), info)
    try:
        return safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        where = location.url(f"{version_folder(card.version)}/{info.file}")
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


def _own(location: Location, existing: Card, update: str) -> Card:
    if existing.update != update:
        raise ConflictError(
            f"{location.root}: version {existing.version} was made by update {existing.update} meanwhile:"
            f" start update {update} again from there"
        )
    return existing
