"""Files that are compressed as a whole, told by their first bytes: unpacked once into a temporary file."""

from __future__ import annotations

import atexit
import bz2
import errno
import gzip
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from raygp.errors import InputError

_HEAD = 512
_USTAR_AT = 257


def _open_arrow(codec: str) -> Callable[[Path], Any]:
    def opened(path: Path) -> Any:
        import pyarrow as pa

        return pa.input_stream(str(path), compression=codec)

    return opened


_SKIPPABLE = tuple(bytes((number, 0x2A, 0x4D, 0x18)) for number in range(0x50, 0x60))
_READ: dict[str, tuple[tuple[bytes, ...], Callable[[Path], Any]]] = {
    "gzip": ((b"\x1f\x8b",), gzip.open),
    "xz": ((b"\xfd7zXZ\0",), lzma.open),
    "bzip2": (tuple(b"BZh%d1AY&SY" % level for level in range(1, 10)), bz2.open),
    "zstd": ((b"\x28\xb5\x2f\xfd", *_SKIPPABLE), _open_arrow("zstd")),
    "lz4": ((b"\x04\x22\x4d\x18",), _open_arrow("lz4")),
}
"""By name: with which bytes such a file begins, and what reads it."""
COMPRESSIONS = tuple(_READ)
"""Names of those that are read."""
_NOT_READ = {
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x1f\x9d": "compressed by compress (.Z)",
    b"LZIP": "compressed by lzip",
}


def plain_file(path: Path) -> Path:
    """The file itself, or a copy of what a compressed one holds.

    A compressed file has no random access, so it is unpacked once into the folder for temporary files. The copy goes
    when the process ends. It can be read only until then and only on this machine.

    Raises:
        InputError: there is no room for the copy.
        ValueError: the file is damaged, or compressed in a way that is not read.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    # A tar begins with a name, which may be any bytes.
    if head[_USTAR_AT:].startswith(b"ustar"):
        return path
    for mark, what in _NOT_READ.items():
        if head.startswith(mark):
            raise ValueError(f"it is {what}: unpack it")
    for name, (marks, _) in _READ.items():
        if head.startswith(marks):
            state = path.stat()
            return _unpacked(path, name, state.st_mtime_ns, state.st_size)
    return path


@cache
def _unpacked(path: Path, name: str, mtime_ns: int, size: int) -> Path:
    """What it holds; ``mtime_ns`` and ``size`` tell a file from an earlier one of the same name."""
    plain = tempfile.NamedTemporaryFile(prefix="raygp-", suffix=".plain")  # noqa: SIM115 - lives as long as the process
    try:
        with _READ[name][1](path) as content:
            shutil.copyfileobj(content, plain, 1 << 20)
        plain.flush()
    except BaseException as error:
        plain.close()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            room = f"no room in {tempfile.gettempdir()}; unpack it, or set TMPDIR to a larger folder"
            raise InputError(f"{path} cannot be unpacked: {room}") from error
        if isinstance(error, EOFError | OSError | ValueError | zlib.error | lzma.LZMAError):
            raise ValueError(f"its {name} data are damaged or cut short ({error})") from error
        raise
    atexit.register(plain.close)
    return Path(plain.name)
