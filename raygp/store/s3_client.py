"""s3fs, made patient: what throttling, cut connections and lost answers do to requests is retried or looked into."""

from __future__ import annotations

import hashlib
from typing import Any

import s3fs
from botocore.exceptions import ClientError
from fsspec.asyn import sync_wrapper

_CONFIG = {
    # botocore retries 500, 503, SlowDown, timeouts and connection errors: exponential backoff with jitter, up to 20 s.
    "retries": {"mode": "standard", "max_attempts": 5},
    "connect_timeout": 10,
    "read_timeout": 60,
    # raygp checks SHA-256 itself, and some servers give checksums of whole objects with parts of them.
    "response_checksum_validation": "when_required",
}
_DENIED = {"AccessDenied", "403"}


class PatientS3(s3fs.S3FileSystem):  # type: ignore[misc]
    """S3 whose requests survive a bad network. Pickles with its options, never with credentials.

    s3fs retries what breaks off in the middle of a body and, since S3 answers AccessDenied under load, that too.
    """

    retries = 7
    """Waits 0.1 s, then 1.7 times as long each time: 6 s in all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        config = _CONFIG | kwargs.pop("config_kwargs", {})
        # Reading in parts at once would ask for the size first, and is not retried.
        super().__init__(*args, **({"max_concurrency": 1} | kwargs), config_kwargs=config)

    async def _call_s3(self, method: str, *more: Any, **arguments: Any) -> Any:
        try:
            return await super()._call_s3(method, *more, **arguments)
        except FileNotFoundError:
            if method == "complete_multipart_upload" and (found := await self._completed(**arguments)):
                return found
            raise

    call_s3 = sync_wrapper(_call_s3)

    async def _completed(self, Bucket: str, Key: str, MultipartUpload: dict[str, Any], **_: Any) -> Any:
        """The object, if it consists of the parts uploaded: the upload had succeeded, but its answer was lost."""
        parts = [bytes.fromhex(part["ETag"].strip('"')) for part in MultipartUpload["Parts"]]
        digest = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
        found = await super()._call_s3("head_object", Bucket=Bucket, Key=Key)
        return found if found["ETag"].strip('"') == f"{digest}-{len(parts)}" else None


def _denied_under_load(error: Exception) -> bool:
    return isinstance(error, ClientError) and str(error.response.get("Error", {}).get("Code")) in _DENIED


# Importing this module, which unpickling a PatientS3 does too, is what makes it so in each process.
s3fs.core.set_custom_error_handler(_denied_under_load)
