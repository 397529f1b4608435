"""Files on S3: exclusive creation and compare-and-swap by conditional requests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from raygp.errors import ConflictError, InputError
from raygp.store.backends import Files, StoredFile
from raygp.store.remote_files import LOST_RACE, RemoteFiles, error_code, refuse_credentials

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_MARK = "raygp-write"
_ABSENT = {"NoSuchKey", "404"}
_NO_ETAG = '"00000000000000000000000000000000"'


def connect(root: str, single_writer: bool) -> Files:
    """The files below ``s3://bucket/prefix``.

    Raises:
        InputError: the URL holds credentials, or the package for S3 is not installed.
    """
    refuse_credentials(root)
    try:
        from fsspec.core import strip_protocol

        from raygp.store.s3_client import PatientS3
    except ImportError as error:
        raise InputError(f"{root} needs a package that is not installed: pip install 'raygp[s3]'") from error
    root = root.rstrip("/")
    return S3Files(PatientS3(), strip_protocol(root), root, single_writer)


class S3Files(RemoteFiles):
    """Files on S3: ``create`` sends If-None-Match, ``replace`` sends If-Match with the ETag that it read before.

    A request whose answer was lost is repeated and then refused, because of itself: so each write carries a mark, and
    after a refusal the mark of what is there says who wrote it. For a single writer, plain requests are sent, since
    some servers refuse those headers.
    """

    def __init__(self, fs: AbstractFileSystem, base: str, root: str, single_writer: bool = False) -> None:
        super().__init__(fs, base, root)
        self._plain = single_writer

    @property
    def endpoint(self) -> str:
        """Address of the server, without credentials."""
        parts = urlsplit(str(self.fs.s3.meta.endpoint_url))
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def create(self, path: str, data: bytes) -> None:
        if self._plain:
            return self._create_plainly(path, data)
        if not self._put_marked(path, data, IfNoneMatch="*"):
            raise ConflictError(f"{self.root}/{path} exists already")

    def replace(self, path: str, data: bytes, expected: bytes | None) -> None:
        if self._plain or expected is None:
            return super().replace(path, data, expected)
        try:
            tag = self.fs.info(self._fresh(path))["ETag"]
        except FileNotFoundError:
            tag = None
        # The tag is older than the content read: a write in between makes the request fail.
        if tag is None or self.read(path) != expected:
            raise ConflictError(f"{self.root}/{path} was changed by another writer")
        if not self._put_marked(path, data, IfMatch=tag):
            raise ConflictError(f"{self.root}/{path} was changed by another writer")

    def walk(self, path: str) -> Iterator[StoredFile]:
        """One request for each thousand files, and one where there are none: s3fs asks three times then."""
        bucket, folder, _ = self.fs.split_path(self._full(path))
        asked: dict[str, str] = {"Bucket": bucket, "Prefix": f"{folder.rstrip('/')}/" if folder else ""}
        while True:
            found = self.fs.call_s3("list_objects_v2", **asked)
            for entry in found.get("Contents", []):
                name = f"{bucket}/{entry['Key']}"
                if not name.endswith("/"):  # What some tools write for an empty folder.
                    modified = entry["LastModified"].timestamp()
                    yield StoredFile(name.removeprefix(f"{self.base}/"), int(entry["Size"]), modified)
            if not found.get("IsTruncated"):
                return
            asked["ContinuationToken"] = found["NextContinuationToken"]

    def honours_conditions(self, path: str) -> bool:
        """Whether writes over the file at ``path`` that must not happen are refused."""
        self.write(path, b"probe")
        try:
            wrong = ({"IfNoneMatch": "*"}, {"IfMatch": _NO_ETAG})
            return all(self._refused(path, **condition) for condition in wrong) and self.read(path) == b"probe"
        finally:
            self.delete(path, recursive=False)

    def _refused(self, path: str, **condition: str) -> bool:
        try:
            self._put(path, b"overwritten", **condition)
        except OSError as error:
            if _lost(error):
                return True
            if error_code(error) not in {"NotImplemented", "501", "400", "InvalidArgument", "InvalidRequest"}:
                raise
        return False

    def _put_marked(self, path: str, data: bytes, **condition: str) -> bool:
        """Whether this write took place: a refusal is believed only once another's mark has been seen."""
        mark = uuid.uuid4().hex
        for _ in range(3):
            try:
                self._put(path, data, Metadata={_MARK: mark}, **condition)
                return True
            except OSError as error:
                if not _lost(error):
                    raise
            if (found := self._mark(path)) is not None:
                return found == mark
        return False

    def _mark(self, path: str) -> str | None:
        """The mark of the file at ``path``, empty if it has none; None if there is no file."""
        bucket, key, _ = self.fs.split_path(self._full(path))
        try:
            found = self.fs.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        return str(found.get("Metadata", {}).get(_MARK, ""))

    def _put(self, path: str, data: bytes, **options: Any) -> None:
        bucket, key, _ = self.fs.split_path(self._full(path))
        try:
            self.fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, **options)
        finally:
            self.fs.invalidate_cache(self._full(path))


def _lost(error: OSError) -> bool:
    return isinstance(error, FileExistsError) or error_code(error) in LOST_RACE | _ABSENT
