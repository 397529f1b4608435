"""A copy on this machine of what lies at a URL, so that every kind of source can read from object storage.

Files come into a folder of the user's cache, and are kept there: the next time only those are fetched that are new or
have changed, as their sizes and tags (ETag, else the time of change) tell. What is gone at the URL goes here, too.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygp.data.sources.source import PassedOver
from raygp.data.sources.walk import expanded
from raygp.errors import InputError, RaygpError

if TYPE_CHECKING:
    from raygp.store.backends import Files

CACHE_VARIABLE = "RAYGP_CACHE"
"""Environment variable that says where copies are kept."""
_THREADS = 8
_SPARE = 256 << 20
"""Bytes of the disk that are left free."""
_LONGEST = 255
"""Bytes of a name on this machine."""
NO_NAMES = "names that no file here can have"

Watch = Callable[[int, int], None]
"""Is told of bytes: (here, in all)."""


@dataclass(frozen=True)
class _Remote:
    """A file at the URL."""

    path: str
    """As the file system of the URL has it."""
    size: int | None
    tag: str
    """Changes with its content; empty where nothing tells."""


class Mirror:
    """What lies at a URL, here. Nothing is fetched before :meth:`fetch`.

    Args:
        url: of a file or a folder, or a pattern as for paths (``*``, ``{000..017}``).

    Raises:
        InputError: the URL cannot be used, or a package for it is missing.
    """

    def __init__(self, url: str) -> None:
        protocol, mark, rest = url.partition("://")
        if not mark or not rest.strip("/"):
            raise InputError(f"{url} is no usable address: expected one such as s3://bucket/folder")
        self.url = f"{protocol}://{rest.rstrip('/')}"
        if protocol in ("http", "https"):
            glob_of: Callable[[str], bool] = lambda part: "{" in part
        else:
            glob_of = lambda part: glob.has_magic(part) or "{" in part
        parts = self.url.split("/")
        first = next((place for place, part in enumerate(parts) if place > 2 and glob_of(part)), None)
        self._has_pattern = first is not None
        self._base = "/".join(parts[:first] if first is not None else parts[:-1])
        self._files = _connected(self._base if first is not None else self.url)
        self._home = _cache() / hashlib.sha256(self.url.encode()).hexdigest()[:24]
        self.passed_over = PassedOver()
        """Files at the URL that cannot be fetched."""
        self.fetched = self.kept = self.bytes = 0
        """Files that were fetched, files that were here, and bytes of all of them."""

    @property
    def root(self) -> str:
        """The folder here that stands for :attr:`base`."""
        return str(self._home / "files")

    @property
    def base(self) -> str:
        """The part of the URL that :attr:`root` stands for."""
        return self._base

    @property
    def path(self) -> str:
        """The path here that stands for the URL."""
        return self.root + self.url.removeprefix(self._base)

    def told(self, message: str) -> str:
        """A message that names the URL in place of the copy."""
        return message.replace(self.root, self._base)

    def fetch(self, watch: Watch = lambda done, total: None) -> None:
        """Bring here what is not here.

        Raises:
            InputError: there is nothing at the URL, it must not be read, or there is no room here.
            RaygpError: the connection broke.
        """
        with self._explained():
            wanted = self._listed()
        known = self._read_index()
        missing = {name: file for name, file in wanted.items() if not self._is_here(name, file, known)}
        self._clear(wanted)
        self._check_room(missing)
        total = sum(file.size or 0 for file in wanted.values())
        done = total - sum(file.size or 0 for file in missing.values())
        watch(done, total)
        index = {name: known[name] for name in wanted.keys() - missing.keys()}
        try:
            for name, size in self._fetch_all(missing):
                index[name] = [size, missing[name].tag]
                done += size
                watch(done, max(total, done))
        finally:
            self._write_index(index)
        self.fetched, self.kept, self.bytes = len(missing), len(wanted) - len(missing), done

    def _listed(self) -> dict[str, _Remote]:
        """The files that the URL means, by their names as seen from the base."""
        fs, base = self._files.filesystem()
        fs.invalidate_cache()
        top = base if self._has_pattern else base.rpartition("/")[0]
        starts = [base]
        if self._has_pattern:
            ends = [text.removeprefix(f"{self._base}/") for text in expanded(self.url)]
            starts = [f"{base}/{end}" for end in ends]
        found: dict[str, _Remote] = {}
        for start in starts:
            for path, info in _below(fs, start, self._has_pattern and glob.has_magic(start)):
                name = path.removeprefix(top).lstrip("/")
                if _can_be_here(name):
                    found[name] = _Remote(path, _size(info), _tag(info))
                else:
                    self.passed_over.add(NO_NAMES, name)
        for name in [name for name in found if any(f"{name}/" == other[: len(name) + 1] for other in found)]:
            self.passed_over.add("files that are called as a folder is", name)
            del found[name]
        if not found:
            raise FileNotFoundError(self.url)
        return found

    def _is_here(self, name: str, file: _Remote, known: dict[str, list[Any]]) -> bool:
        if not file.tag or known.get(name) != [file.size, file.tag]:
            return False
        with contextlib.suppress(OSError):
            return os.stat(f"{self.root}/{name}").st_size == file.size
        return False

    def _clear(self, wanted: dict[str, _Remote]) -> None:
        """Delete what is here and no longer there."""
        shutil.rmtree(self._home / "parts", ignore_errors=True)
        for folder, _, names in os.walk(self.root, topdown=False):
            for name in names:
                if os.path.relpath(f"{folder}/{name}", self.root) not in wanted:
                    os.unlink(f"{folder}/{name}")
            with contextlib.suppress(OSError):
                os.rmdir(folder)  # One that is not empty stays.

    def _check_room(self, missing: dict[str, _Remote]) -> None:
        needed = sum(file.size or 0 for file in missing.values())
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._home).free
        except OSError as error:
            raise InputError(f"{self._home} cannot be used: {error.strerror}: set {CACHE_VARIABLE}") from error
        if needed + _SPARE > free:
            raise InputError(
                f"{self.url}: {needed / 1e9:,.1f} GB are to be copied to {self._home.parent}, where "
                f"{free / 1e9:,.1f} GB are free: set {CACHE_VARIABLE} to a larger folder"
            )

    def _fetch_all(self, missing: dict[str, _Remote]) -> Iterator[tuple[str, int]]:
        with ThreadPoolExecutor(_THREADS) as pool:
            names = enumerate(sorted(missing))
            waiting = {pool.submit(self._fetch, number, name, missing[name]): name for number, name in names}
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _fetch(self, number: int, name: str, file: _Remote) -> int:
        """Fetch a file; it is here whole or not at all. How many bytes it has."""
        part = self._home / "parts" / f"{os.getpid()}-{number}"
        target = Path(self.root, name)
        with self._explained(name):
            part.parent.mkdir(parents=True, exist_ok=True)
            fs, _ = self._files.filesystem()
            fs.get_file(file.path, str(part))
            size = part.stat().st_size
            if file.size is not None and size != file.size:
                raise RaygpError(f"{self._base}/{name} has changed while it was read: run again")
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, target)
        return size

    def _read_index(self) -> dict[str, list[Any]]:
        try:
            index = json.loads((self._home / "index.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return index if isinstance(index, dict) else {}

    def _write_index(self, index: dict[str, list[Any]]) -> None:
        file = self._home / f"index-{os.getpid()}.json"
        file.write_text(json.dumps(index), "utf-8")
        os.replace(file, self._home / "index.json")

    @contextlib.contextmanager
    def _explained(self, name: str = "") -> Iterator[None]:
        from raygp.store.remote_files import error_code, one_line

        where = f"{self._base}/{name}" if name else self.url
        try:
            yield
        except RaygpError:
            raise
        except Exception as error:
            if error_code(error) == "NoSuchBucket":
                raise InputError(f"{self.url}: there is no such bucket") from error
            if (meant := self._files.explain(error, "")) is not None:
                raise meant from error
            if isinstance(error, PermissionError):
                raise InputError(f"{where} must not be read: check your credentials") from error
            if isinstance(error, FileNotFoundError):
                raise InputError(f"{where} does not exist") from error
            if isinstance(error, OSError | ValueError | NotImplementedError):
                raise RaygpError(f"{where} cannot be read: {one_line(error)}") from error
            raise


def _connected(url: str) -> Files:
    from raygp.store.backends import connect

    if "@" in url.split("/")[2]:
        raise InputError("credentials do not belong into an address: put them into the environment or a profile file")
    try:
        return connect(url, single_writer=True)  # Nothing is written there.
    except InputError as error:
        raise InputError(str(error).replace("is no usable root", "cannot be used")) from error


def _below(fs: Any, start: str, is_pattern: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each file that a path means, with what is known of it."""
    if is_pattern:
        for path, info in sorted(fs.glob(start, detail=True).items()):
            yield from fs.find(path, detail=True).items() if info.get("type") == "directory" else [(path, info)]
        return
    info = fs.info(start)
    if info.get("type") != "directory":
        yield start, info
        return
    yield from ((path, info) for path, info in fs.find(start, detail=True).items() if not path.endswith("/"))


def _size(info: dict[str, Any]) -> int | None:
    size = info.get("size")
    return None if size is None else int(size)


def _tag(info: dict[str, Any]) -> str:
    """What of a listing changes with a file's content; empty if there is nothing."""
    names = ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "updated", "created")
    return next((str(info[name]) for name in names if info.get(name)), "")


def _can_be_here(name: str) -> bool:
    def fits(part: str) -> bool:
        return part not in ("", ".", "..") and "\0" not in part and len(os.fsencode(part)) <= _LONGEST

    return all(map(fits, name.split("/")))


def _cache() -> Path:
    """The folder of all copies."""
    chosen = os.environ.get(CACHE_VARIABLE)
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(chosen or f"{shared}/raygp").expanduser().absolute() / "sources"
