"""The members of a tar and where their bytes lie in it, so that they can be read in any order. Nothing is extracted."""

from __future__ import annotations

import atexit
import errno
import gzip
import shutil
import tarfile
import tempfile
import zlib
from functools import cache
from pathlib import Path

from raygp.data.sources.source import FileSlice
from raygp.errors import InputError

_BLOCK = 512
_GZIP = b"\x1f\x8b"


class TarIndex:
    """Files and folders of a tar.

    A gzipped tar has no random access: it is unpacked once into a plain tar in the folder for temporary files, which
    goes when the process ends. Its slices can be read only until then and only on this machine.

    Raises:
        InputError: the file is not a tar, is damaged or ends too early.
    """

    def __init__(self, path: Path) -> None:
        self.files: dict[str, FileSlice] = {}
        """By name as it stands in the tar; where a name occurs twice, the later member, as tar itself has it."""
        self.folders: list[str] = []
        self.skipped: list[str] = []
        """Names of links, devices and sparse files, whose bytes are not in the tar as they are."""
        try:
            with path.open("rb") as file:
                gzipped = file.read(len(_GZIP)) == _GZIP
            state = path.stat()
            self._scan(_unzipped(path, state.st_mtime_ns, state.st_size) if gzipped else path, path)
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path} cannot be read as a tar: {error}") from error

    def _scan(self, plain: Path, named: Path) -> None:
        with tarfile.open(plain, "r:") as tar:
            while (member := tar.next()) is not None:
                # tarfile keeps every member it has seen; a million of them take a gigabyte.
                tar.members.clear()  # type: ignore[attr-defined]  # The type stubs lack it.
                if member.isdir():
                    self.folders.append(member.name)
                elif member.isreg() and not member.issparse():
                    self.files[member.name] = FileSlice(str(plain), member.offset_data, member.size)
                else:
                    self.skipped.append(member.name)
            end = tar.offset
        with plain.open("rb") as file:
            file.seek(end)
            rest = file.read(_BLOCK)
        # tarfile takes a damaged header for the end of the archive.
        if any(rest) or 0 < len(rest) < _BLOCK:
            raise InputError(f"{named} cannot be read as a tar: it is damaged or cut short at byte {end:,}")


@cache
def _unzipped(path: Path, mtime_ns: int, size: int) -> Path:
    """A plain copy of a gzipped tar; ``mtime_ns`` and ``size`` tell a file from an earlier one of the same name."""
    plain = tempfile.NamedTemporaryFile(prefix="raygp-", suffix=".tar")  # noqa: SIM115 - lives as long as the process
    try:
        with gzip.open(path) as unzipped:
            shutil.copyfileobj(unzipped, plain, 1 << 20)
        plain.flush()
    except BaseException as error:
        plain.close()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            room = f"no room in {tempfile.gettempdir()}; unpack it, or set TMPDIR to a larger folder"
            raise InputError(f"{path} cannot be unpacked: {room}") from error
        raise
    atexit.register(plain.close)
    return Path(plain.name)
