"""Files of rows with columns, read a few rows at a time: Parquet, Arrow's streams and tables of text.

pyarrow is imported when a file is read: to list the kinds of sources must cost little.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from raygp.data.text import Nested, parse_table
from raygp.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_BUFFER = 1 << 20
"""So many bytes of a Parquet column are read at once."""
_SHOWN = 40
"""Characters of a value in a message."""
_POINTER = b"version https://git-lfs"
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""How Arrow's streams end."""
_ARROW_FILE = b"ARROW1"
"""How Arrow's other form begins, that of a file in place of a stream."""


class RowFile(Protocol):
    """A file of rows."""

    @property
    def kind(self) -> str:
        """What it is, for messages: "Parquet"."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        ...

    @property
    def rows(self) -> int:
        """How many it has."""
        ...

    def number(self, row: int) -> int:
        """The number by which people find a row, counted from 0 in the file: itself, or a line."""
        ...

    def problem(self, row: int) -> str:
        """Why a row, counted from 0, cannot be read; empty if it can."""
        ...

    def batches(self, columns: Sequence[str], at_once: int) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, of which few are in memory at a time.

        Args:
            columns: their names.
            at_once: rows of a batch, at most.

        Raises:
            InputError: the file cannot be read.
        """
        ...


class _WholeRows:
    """Of files whose rows have numbers, and of which all can be read or none."""

    def number(self, row: int) -> int:
        """The row itself."""
        return row

    def problem(self, row: int) -> str:
        """None."""
        return ""


class ParquetRows(_WholeRows):
    """A Parquet file."""

    kind = "Parquet"

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._path = path
        with reading(path, self.kind), pq.ParquetFile(path) as file:
            self.schema, self.rows = file.schema_arrow, file.metadata.num_rows

    def batches(self, columns: Sequence[str], at_once: int) -> Iterator[pa.RecordBatch]:
        """See :class:`RowFile`."""
        import pyarrow.parquet as pq

        # Without these settings, all that a row group has of a column is read at once.
        little = {"pre_buffer": False, "buffer_size": _BUFFER}
        with (
            reading(self._path, self.kind),
            pq.ParquetFile(self._path, page_checksum_verification=True, **little) as file,
        ):
            found = 0
            # Structs of categories cannot be read across row groups.
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(at_once, row_groups=[group], columns=list(columns)):
                    found += batch.num_rows
                    yield batch
            if found != file.metadata.num_rows:
                raise InputError(
                    f"{self._path} is damaged: it holds {found:,} rows and says {file.metadata.num_rows:,}"
                )


class ArrowRows(_WholeRows):
    """A stream of Arrow's batches, as Hugging Face's ``datasets`` keeps them. It is mapped into memory, not read."""

    kind = "an Arrow stream"

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._path = path
        with reading(path, self.kind), pa.memory_map(str(path)) as file:
            self._is_file = file.read(len(_ARROW_FILE)) == _ARROW_FILE
            file.seek(0)
            self.schema = (pa.ipc.open_file if self._is_file else pa.ipc.open_stream)(file).schema
            self.rows = sum(batch.num_rows for batch in self._whole())

    def batches(self, columns: Sequence[str], at_once: int) -> Iterator[pa.RecordBatch]:
        """See :class:`RowFile`."""
        with reading(self._path, self.kind):
            for whole in self._whole():
                batch = whole.select(list(columns))
                # Nothing in the file tells that its bytes are what they were: what does not fit together is found here.
                batch.validate(full=True)
                for start in range(0, batch.num_rows, at_once):
                    yield batch.slice(start, at_once)

    def _whole(self) -> Iterator[pa.RecordBatch]:
        """The batches as they are in the file.

        Raises:
            ValueError: the file does not end where its batches do.
        """
        import pyarrow as pa

        with pa.memory_map(str(self._path)) as file:
            if self._is_file:
                found = pa.ipc.open_file(file)
                yield from (found.get_batch(number) for number in range(found.num_record_batches))
                return
            # Where a stream breaks off between two batches, or a hole in it looks like its end, pyarrow says nothing.
            size = file.size()
            file.seek(max(0, size - len(_END)))
            if file.read() != _END:
                raise ValueError("its end is missing: the file is incomplete")
            file.seek(0)
            with pa.ipc.open_stream(file) as stream:
                yield from stream
                if file.tell() != size:
                    raise ValueError("it ends before the file does: it is damaged")


class TextRows:
    """A table of text (:func:`raygp.data.text.parse_table`). All of its columns are strings.

    Args:
        path: of the file.
        name: for messages.
        keep_bad: rows that cannot be read are there, with their problems.
    """

    kind = "a table of text"

    def __init__(self, path: Path, name: str, keep_bad: bool = False) -> None:
        import pyarrow as pa

        try:
            table = parse_table(path.read_bytes(), name, long_texts=True, keep_bad=keep_bad)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        rows = list(table.rows)
        self._name = name
        self._nested: dict[str, tuple[int, str]] = {}
        for row in reversed(rows):
            self._nested |= {
                column: (row.line, value) for column, value in row.values.items() if isinstance(value, Nested)
            }
        self._lines = [row.line for row in rows]
        self._problems = {place: row.problem for place, row in enumerate(rows) if row.problem}
        # Strings that hold half a character, as JSON may, are no UTF-8: as bytes they can be kept, and are bad rows.
        cells = {
            column: pa.array(
                [row.values.get(column, "").encode(errors="surrogatepass") for row in rows], pa.large_binary()
            )
            for column in table.columns
        }
        self._table = pa.table(cells)

    @property
    def schema(self) -> pa.Schema:
        """Its columns, as strings."""
        import pyarrow as pa

        return pa.schema([(name, pa.large_string()) for name in self._table.schema.names])

    @property
    def rows(self) -> int:
        """How many it has."""
        return len(self._lines)

    def number(self, row: int) -> int:
        """The line where a row begins, from 1."""
        return self._lines[row]

    def problem(self, row: int) -> str:
        """Why a row cannot be read."""
        return self._problems.get(row, "")

    def batches(self, columns: Sequence[str], at_once: int) -> Iterator[pa.RecordBatch]:
        """See :class:`RowFile`."""
        for column in columns:
            if column in self._nested:
                line, value = self._nested[column]
                what = "a list" if value.startswith("[") else "an object"
                raise InputError(
                    f"{self._name} line {line}: column {column} holds {what} ({value[:_SHOWN]}): expected one value, "
                    'such as "yes", in each row'
                )
        yield from self._table.select(list(columns)).to_batches(at_once)


@contextlib.contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn what a library says of a file into an InputError.

    Args:
        path: of the file.
        what: it should be, for messages: "Parquet".
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise InputError(f"{path} is a pointer of Git LFS without the data: run 'git lfs pull'") from error
        raise InputError(f"{path} cannot be read as {what}: {' '.join(str(error).split())}") from error
