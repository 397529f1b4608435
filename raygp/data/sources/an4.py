"""CMU's AN4 corpus: one of the archives in which it is distributed, or an unpacked folder."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from raygp.data.sources.formats import suffixes
from raygp.data.sources.kind import LIKELY, UNLIKELY, SourceKind
from raygp.data.sources.naming import TARS
from raygp.data.sources.source import FileSlice, PassedOver, SourceSample, SplitName
from raygp.data.sources.tarindex import TarIndex
from raygp.errors import InputError

if TYPE_CHECKING:
    import numpy as np

_SPLITS: tuple[SplitName, ...] = ("train", "test")
_MARKS = re.compile(r"</?s>")
_LIST = re.compile(r"(?:.*/)?(?=etc/an4_(?:train|test)\.(?:fileids|transcription)$)")
_RAW = ".raw"
_SUFFIXES = (*suffixes("audio"), _RAW)
"""Of recordings. Where an utterance has several, the first of these is taken: people convert .sph in place."""


class An4Source:
    """Utterances of ``an4/wav`` with the transcripts of ``an4/etc``; train and test as the corpus divides them.

    The recordings are WAV, NIST SPHERE (``an4_sphere.tar.gz``), any other format of sound, or ``.raw``: samples alone,
    of 16 bits, mono, 16 kHz, in either byte order (``an4_raw.bigendian.tar.gz``, ``an4_raw.littleendian.tar.gz``).

    Args:
        path: an archive such as ``an4.tar.gz``, or a folder that is ``an4`` or holds it.

    Raises:
        InputError: there is no such file, or it is not AN4.
    """

    def __init__(self, path: str) -> None:
        given = Path(path).expanduser().resolve()
        self.name = f"an4:{given.name}"
        self.passed_over = PassedOver()
        self._given = path
        if not given.exists():
            raise InputError(f"{path} does not exist")
        self._files = _corpus(_folder(given) if given.is_dir() else TarIndex(given).files)
        if not any(name.startswith("an4/etc/") for name in self._files):
            raise InputError(f"{path} is not AN4: there is no an4/etc in it")

    def samples(self) -> Iterator[SourceSample]:
        """All utterances in the order of the corpus's lists. One whose recording or transcript is missing is a bad row.

        Raises:
            InputError: a list is missing, or the lists do not fit each other.
        """
        self.passed_over = PassedOver()
        recordings = self._recordings()
        listed: set[str] = set()
        for split in _SPLITS:
            files = self._lines(f"an4_{split}.fileids")
            transcripts = self._lines(f"an4_{split}.transcription")
            if len(files) != len(transcripts):
                raise InputError(f"{self._given}: {len(files)} {split} files but {len(transcripts)} transcripts")
            for (place, file), (line, text) in zip(files, transcripts, strict=True):
                text, _, utterance = text.rpartition("(")
                if utterance.rstrip(")") != file.rpartition("/")[2]:
                    raise InputError(f"an4_{split}.transcription line {line} is not the transcript of {file}")
                if file in listed:
                    self.passed_over.add("utterances listed again", f"{file} (an4_{split}.fileids line {place})")
                    continue
                listed.add(file)
                label = " ".join(_MARKS.sub(" ", text).split())
                problem = "" if label else f"its transcript is empty (an4_{split}.transcription line {line})"
                name = recordings.pop(file, None)
                if name is None:
                    problem = f"an4/wav/{file}.wav is missing (an4_{split}.fileids line {place})"
                yield SourceSample(split, label, file, self._loader(name or f"an4/wav/{file}.wav"), problem)
        for name in recordings.values():
            self.passed_over.add("recordings that no list names", name)

    def _recordings(self) -> dict[str, str]:
        """The name of each utterance's recording, by its name in the lists."""
        found: dict[str, str] = {}
        for name in self._files:
            path = PurePosixPath(name)
            if not name.startswith("an4/wav/"):
                continue
            if path.suffix.lower() not in _SUFFIXES:
                self.passed_over.add("files that are no recordings", name)
                continue
            utterance = str(path.with_suffix("").relative_to("an4/wav"))
            other = found.setdefault(utterance, name)
            if other != name:
                better, worse = sorted((name, other), key=_rank)
                found[utterance] = better
                self.passed_over.add("second recordings of an utterance", worse)
        return found

    def _loader(self, name: str) -> Callable[[], bytes]:
        file = self._files.get(name, FileSlice(name))
        return RawRecording(file) if name.lower().endswith(_RAW) else file

    def _lines(self, name: str) -> list[tuple[int, str]]:
        """The lines of a list that are not blank, each with its number."""
        if f"an4/etc/{name}" not in self._files:
            raise InputError(f"{self._given}: an4/etc/{name} is missing")
        try:
            text = self._files[f"an4/etc/{name}"]().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{self._given}: an4/etc/{name} is not text: {error}") from error
        return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


@dataclass(frozen=True, slots=True)
class RawRecording:
    """A recording without a header, read as a WAV: samples of 16 bits, mono, 16 kHz.

    The corpus comes in both byte orders, under the same names. Speech changes little from one sample to the next, and
    in the wrong order it is noise of full loudness. So the order is the one in which neighbours differ less.
    """

    file: FileSlice

    def __call__(self) -> bytes:
        """A WAV file.

        Raises:
            InputError: the file cannot be read, or ends within a sample.
        """
        import numpy as np  # Here, since listing the kinds of sources should load next to nothing.

        content = self.file()
        if not content:
            return content
        if len(content) % 2:
            raise InputError(f"{len(content):,} bytes are no whole number of 16-bit samples: it is cut short")
        big, little = np.frombuffer(content, ">i2"), np.frombuffer(content, "<i2")
        samples = little if _roughness(little) < _roughness(big) else big
        encoded = io.BytesIO()
        with wave.open(encoded, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(samples.astype("<i2").tobytes())
        return encoded.getvalue()


def _roughness(samples: np.ndarray) -> int:
    """The differences of neighbours, summed."""
    wide = samples.astype("i8")
    return int(abs(wide[1:] - wide[:-1]).sum())


def _rank(name: str) -> int:
    return _SUFFIXES.index(PurePosixPath(name).suffix.lower())


def _corpus(files: Mapping[str, FileSlice]) -> dict[str, FileSlice]:
    """The files by the names that they have in the archive as CMU made it, whatever the folder around ``etc`` is called
    now."""
    plain = {name.removeprefix("./"): file for name, file in files.items()}
    roots = {found.group() for name in plain if (found := _LIST.match(name))}
    if not roots:
        return plain
    root = min(roots, key=lambda each: (len(each), each))
    return {f"an4/{name[len(root) :]}": file for name, file in plain.items() if name.startswith(root)}


def _folder(given: Path) -> dict[str, FileSlice]:
    """The files of a folder that is AN4 or holds it, by their names in it."""
    try:
        below = sorted(path for path in given.iterdir() if path.is_dir())
    except OSError as error:
        raise InputError(f"{given} cannot be read: {error.strerror or error}") from error
    root = next((root for root in (given, *below) if any((root / "etc").glob("an4_*"))), given / "an4")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {f"an4/{path.relative_to(root).as_posix()}": FileSlice(str(path)) for path in files}


def _looks_like(path: Path) -> int:
    if path.is_dir():
        found = (path / "an4" / "etc").is_dir() or (path.resolve().name == "an4" and (path / "etc").is_dir())
    else:
        found = path.name.startswith("an4") and path.name.endswith(TARS)
    return LIKELY if found else UNLIKELY


AN4 = SourceKind(An4Source, "FILE", media=("audio",), looks_like=_looks_like)
