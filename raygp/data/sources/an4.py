"""CMU's AN4 corpus: the archive as it is distributed, or its unpacked folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from raygp.data.sources.kind import LIKELY, UNLIKELY, SourceKind
from raygp.data.sources.naming import TARS
from raygp.data.sources.source import FileSlice, SourceSample, SplitName
from raygp.data.sources.tarindex import TarIndex
from raygp.errors import InputError

_SPLITS: tuple[SplitName, ...] = ("train", "test")
_MARKS = re.compile(r"</?s>")


class An4Source:
    """Utterances of ``an4/wav`` with the transcripts of ``an4/etc``; train and test as the corpus divides them.

    Args:
        path: ``an4.tar.gz``, or a folder that is ``an4`` or holds it.

    Raises:
        InputError: there is no such file, or it is not AN4.
    """

    def __init__(self, path: str) -> None:
        given = Path(path).expanduser().resolve()
        self.name = f"an4:{given.name}"
        self._given = path
        if not given.exists():
            raise InputError(f"{path} does not exist")
        self._files = _folder(given) if given.is_dir() else TarIndex(given).files
        if not any(name.startswith("an4/etc/") for name in self._files):
            raise InputError(f"{path} is not AN4: there is no an4/etc in it")

    def samples(self) -> Iterator[SourceSample]:
        """All utterances in the order of the corpus's lists.

        Raises:
            InputError: a list or an utterance that it names is missing, or the lists do not fit each other.
        """
        for split in _SPLITS:
            files = self._lines(f"an4_{split}.fileids")
            transcripts = self._lines(f"an4_{split}.transcription")
            if len(files) != len(transcripts):
                raise InputError(f"{self._given}: {len(files)} {split} files but {len(transcripts)} transcripts")
            for number, (file, line) in enumerate(zip(files, transcripts, strict=True), 1):
                text, _, utterance = line.rpartition("(")
                if utterance.rstrip(")") != file.rpartition("/")[2]:
                    raise InputError(f"an4_{split}.transcription line {number} is not the transcript of {file}")
                audio = self._files.get(f"an4/wav/{file}.wav")
                if audio is None:
                    raise InputError(
                        f"{self._given}: an4/wav/{file}.wav is missing (an4_{split}.fileids line {number})"
                    )
                yield SourceSample(split, " ".join(_MARKS.sub(" ", text).split()), file, audio)

    def _lines(self, name: str) -> list[str]:
        if f"an4/etc/{name}" not in self._files:
            raise InputError(f"{self._given}: an4/etc/{name} is missing")
        try:
            return self._files[f"an4/etc/{name}"]().decode().splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{self._given}: an4/etc/{name} is not text: {error}") from error


def _folder(given: Path) -> dict[str, FileSlice]:
    """The files of a folder by their names in the archive."""
    root = given if given.name == "an4" else given / "an4"
    return {f"an4/{path.relative_to(root)}": FileSlice(str(path)) for path in root.rglob("*") if path.is_file()}


def _looks_like(path: Path) -> int:
    if path.is_dir():
        found = (path / "an4" / "etc").is_dir() or (path.resolve().name == "an4" and (path / "etc").is_dir())
    else:
        found = path.name.startswith("an4") and path.name.endswith(TARS)
    return LIKELY if found else UNLIKELY


AN4 = SourceKind(An4Source, "FILE", looks_like=_looks_like)
