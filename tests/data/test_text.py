"""Text as people have it: encodings, spellings and tables."""

from __future__ import annotations

import pytest

from raygp.data.sources.columns import FILES, SAMPLES, choose_column, choose_label
from raygp.data.text import decode_text, parse_table, quoted, tidy
from raygp.errors import InputError

TEXT = "file\ttext\nüber\t日本\n"
LATIN = "save the file as UTF-8 (it looks like Latin-1/Windows-1252)"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_decides_and_utf_8_without_one(encoding: str) -> None:
    assert decode_text(TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [("fffe", "utf-16-le"), ("feff", "utf-16-be"), ("fffe0000", "utf-32-le"), ("0000feff", "utf-32-be")],
)
def test_both_orders_of_bytes_are_read(mark: str, encoding: str) -> None:
    assert decode_text(bytes.fromhex(mark) + TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\nb\nGrüße\n".encode("latin-1"), f"line 3 is not UTF-8: {LATIN}"),
        ("a\r\n“b”\r\n".encode("cp1252"), f"line 2 is not UTF-8: {LATIN}"),
        ("a\rb\r\xe9 c".encode("latin-1"), f"line 3 is not UTF-8: {LATIN}"),
        ("a\nждяфц\n".encode("cp1251"), "line 2 is not UTF-8: save the file as UTF-8"),
        ("a\n日本語の文字\n".encode("shift-jis"), "line 2 is not UTF-8: save the file as UTF-8"),
        ("a\nü".encode()[:-1], "line 2 ends in the middle of a character: the file is incomplete, or it is not UTF-8"),
        (b"\xff\xfea\0\n\0b", "line 2 ends in the middle of a character: the file is incomplete, or it is not UTF-16"),
        (b"\xff\xfea\0\n\0\0\xdcb\0", "line 2 is not UTF-16: save the file as UTF-8"),
        (TEXT.encode("utf-16-le"), "it is UTF-16 without a byte order mark: save the file as UTF-8"),
        ("plain\n".encode("utf-16-be"), "it is UTF-16 without a byte order mark: save the file as UTF-8"),
        (b"plain\nte\0xt, and more of it\n", "line 2 holds a NUL character: the file is damaged, or it is no text"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        decode_text(content)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("cat", "cat"),
        ("\ufeffcat", "cat"),
        ("\u200bcat\u200b \ufeff\n", "cat"),
        (" big\tcat\r\n", "big cat"),
        ("yes\r\nno", "yes no"),
        ("yes \u00a0 \u2028no", "yes no"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("\u1112\u1161\u11ab", "\ud55c"),
        ("\u0646\u0645\u06cc\u200c\u062e", "\u0646\u0645\u06cc\u200c\u062e"),  # Persian joins no letters here.
        (" \ufeff\t", ""),
    ],
)
def test_a_text_has_one_spelling(text: str, spelling: str) -> None:
    assert tidy(text) == spelling == tidy(spelling)


def test_letters_stay_as_they_are_where_that_is_wanted() -> None:
    assert tidy(" Cafe\u0301\n", compose=False) == "Cafe\u0301"


TWO = ("file", "text")
QUOTE = "a quotation mark opens a text and is not closed as it should be"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        # Without quoting.
        ("x.tsv", 'file\ttext\n1\t"say\n2\tno"\n3\t"yes"\n', [(2, "1", '"say'), (3, "2", 'no"'), (4, "3", '"yes"')]),
        ("x.TSV", "\ufefffile\ttext \r\n\r\n1\ta, b\r\n2\t\r\n\t\r\n", [(3, "1", "a, b"), (4, "2", "")]),
        ("x.tsv", "File\t TEXT\t\n1\ta\u2028b\t\n2\tc\x1cd\te\n", [(2, "1", "a\u2028b"), (3, "2", "c\x1cd")]),
        # With it.
        ("x.csv", 'file,text\n1,"a, b"\n"2","say ""yes"" now"\n', [(2, "1", "a, b"), (3, "2", 'say "yes" now')]),
        ("x.csv", 'file,text\n1, "a, b"\n2,5" long\n', [(2, "1", "a, b"), (3, "2", '5" long')]),
        ("x.csv", 'file,text\n1,"a\nb"\n2,c\n', [(2, "1", "a\nb"), (4, "2", "c")]),
        ("x.csv", ",file,text\n0,1,a\n1,2,b\n", [(2, "1", "a"), (3, "2", "b")]),
        ("x.csv", 'file;text\n1;a, b\n2;"c; d"\n', [(2, "1", "a, b"), (3, "2", "c; d")]),
        ("x.csv", 'file\ttext\n1\t"a, b"\n', [(2, "1", "a, b")]),
        ("x.csv", "sep=;\nfile;text\n1;a\n", [(3, "1", "a")]),
        # Objects.
        (
            "x.jsonl",
            '{"file": "1", "text": "a\\nb"}\n\n{"text": null, "file": 2}\n{"File": "3"}\n',
            [(1, "1", "a\nb"), (3, "2", ""), (4, "3", "")],
        ),
    ],
)
def test_a_table_is_read(name: str, content: str, expected: list[tuple[int, str, str]]) -> None:
    table = parse_table(content.encode(), name)
    assert table.columns == TWO
    assert [(row.line, row.values["file"], row.values["text"]) for row in table.rows] == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.tsv", "file\ttext\n1\ta\n2\tb\tc\n", "x.tsv line 3 has 3 fields, but the heading has 2"),
        ("x.tsv", "file\ttext\n1\n", "x.tsv line 2 has 1 field, but the heading has 2"),
        ("x.csv", "file,text\n1,a, b\n", "x.csv line 2 has 3 fields, but the heading has 2; a text with commas in it"),
        ("x.csv", 'file,text\n1,a\n2,"b\n3,c\n', f"x.csv line 3: {QUOTE}"),
        ("x.csv", 'file,text\n1,a\n2,"b\n3,c\n4,"d\n5,e\n', f"x.csv line 3: {QUOTE}"),
        ("x.csv", 'file,text\n1,"a\n2,he said "\n3,c\n', f"x.csv line 2: {QUOTE}"),
        ("x.csv", 'file,text\n1,"a" she said\n', f"x.csv line 2: {QUOTE}"),
        ("x.csv", 'file,text\n1,"say \\"yes\\""\n', f"x.csv line 2: {QUOTE}"),
        ("x.csv", 'file,text\n1,"a\nb"\n2,"c\n3,d"\n', f"x.csv line 4: {QUOTE}"),
        ("x.csv", 'file,text,x\n1,"a\nb","c\n2,d,e"\n', f"x.csv line 3: {QUOTE}"),
        ("x.csv", "file,text\n" + '1,"a' + "\n2,b" * 50_000, f"x.csv line 2: {QUOTE}"),
        ("x.csv", "file,text,Text \n1,a,b\n", "x.csv: column 'text' is there 2 times"),
        ("x.csv", "1.wav|yes\n", "x.csv: the heading holds '|': put commas, semicolons or tabs between the fields"),
        ("x.tsv", "file,text\n1,a\n", "x.tsv: the heading holds ',' and no tab: call the file .csv, or put tabs in it"),
        (
            "x.tsv",
            '"file"\t"text"\n',
            "x.tsv: the heading is quoted, but a .tsv is read without quoting: call the file",
        ),
        ("x.tsv", "\ufeff\n \n", "x.tsv is empty: expected a heading with the names of columns"),
        ("x.csv", "", "x.csv is empty: expected a heading with the names of columns"),
        ("x.jsonl", '{"text": "a", "text": "b"}', "x.jsonl line 1: column 'text' is there 2 times"),
        ("x.jsonl", '{"text": "a"}\n{"text": \n', "x.jsonl line 2 is not JSON"),
        ("x.jsonl", '["a"]', "x.jsonl line 1: expected an object"),
        ("x.jsonl", "[" * 100_000, "x.jsonl line 1 is not JSON"),
        ("x.xlsx", "PK", "x.xlsx is no table that is read: expected .tsv, .csv, .jsonl"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_its_line(name: str, content: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(parse_table(content.encode(), name).rows)
    assert str(caught.value).startswith(message)


def test_a_table_in_another_encoding_is_named() -> None:
    with pytest.raises(InputError, match=r"^x\.tsv: line 2 is not UTF-8: save the file as UTF-8 \(it looks like Lat"):
        parse_table("file\ttext\n1\tGrüße\n".encode("latin-1"), "x.tsv")


@pytest.mark.parametrize(
    ("columns", "names", "column"),
    [
        (("text", "Image"), SAMPLES, "Image"),
        (("file", "audio"), SAMPLES, "audio"),
        (("audio", "path", "file_name"), FILES, "file_name"),
    ],
)
def test_a_column_is_chosen_by_its_name(columns: tuple[str, ...], names: tuple[str, ...], column: str) -> None:
    assert choose_column(columns, names, "samples", "x") == column


@pytest.mark.parametrize(
    ("columns", "classes", "column"),
    [
        (("audio", "text", "label"), False, "text"),
        (("audio", "text", "label"), True, "label"),
        (("audio", "sentence", "class"), False, "sentence"),
        (("audio", "label"), False, "label"),
        (("image", "text"), True, "text"),
        (("image", "text", "transcript", "label"), True, "label"),
        (("image", "text", "fine_label"), True, "fine_label"),
        (("audio", "Transcript "), None, "Transcript "),
        (("audio", "label"), None, "label"),
    ],
)
def test_the_lines_task_decides_what_a_label_is(columns: tuple[str, ...], classes: bool | None, column: str) -> None:
    assert choose_label(columns, classes, "x") == column


@pytest.mark.parametrize(
    ("columns", "classes", "message"),
    [
        (("text", "transcript"), False, "x has the columns 'text' and 'transcript', and each may be the transcript"),
        (("text", "sentence"), True, "x has the columns 'text' and 'sentence', and each may be the transcript"),
        (("text", "label"), None, "x has the columns 'label' and 'text': whether a label is a class or a text depends"),
        (("label", "Label"), True, "x has the columns 'label' and 'Label': give one of them another name"),
        (("picture",), True, "x has no column of labels: expected one of label, labels, fine_label, class, text, "),
        (
            ("sound",),
            False,
            "x has no column of transcripts: expected one of text, transcript, transcription, sentence",
        ),
    ],
)
def test_columns_that_may_mean_two_things_are_refused(
    columns: tuple[str, ...], classes: bool | None, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        choose_label(columns, classes, "x")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("label", "known", "shown"),
    [
        ("cat", (), "'cat'"),
        ("e", (), "'e'"),
        ("Caf\u00e9", (), "'Caf\u00e9'"),
        ("\u00e9", (), "'\u00e9' (U+00E9)"),
        ("Cafe\u0301", (), "'Cafe\u0301' (U+0301)"),
        ("c\u200bat", (), "'c\\u200bat' (U+200B)"),
        ("\uff23at", ("dog", "Cat"), "'\uff23at' (U+FF23)"),
        ("\uff23at", ("dog",), "'\uff23at'"),
        ("a\x01b", (), "'a\\x01b' (U+0001)"),
    ],
)
def test_what_looks_alike_is_told_apart(label: str, known: tuple[str, ...], shown: str) -> None:
    assert quoted(label, known) == shown


def test_bad_rows_can_be_kept_and_the_rest_goes_on() -> None:
    lines = b'{"text": "a"}\n{"text": \n["b"]\n{"text": "\xfc"}\n\n{"text": "c"}\n'
    found = [
        (row.line, row.values, row.problem.partition(":")[0])
        for row in parse_table(lines, "t.jsonl", keep_bad=True).rows
    ]
    empty = {"text": ""}
    assert found == [
        (1, {"text": "a"}, ""),
        (2, empty, "it is not JSON"),
        (3, empty, 'expected an object such as {"file_name"'),
        (4, empty, "it is not UTF-8"),
        (6, {"text": "c"}, ""),
    ]
    # Where the heading is no text, nothing is.
    with pytest.raises(InputError, match=r"t\.csv: line 1 is not UTF-8"):
        parse_table(b"caf\xe9,b\n1,2\n", "t.csv", keep_bad=True)
    with pytest.raises(InputError, match=r"UTF-16 without a byte order mark"):
        parse_table("a,b\n1,2\n".encode("utf-16-le"), "t.csv", keep_bad=True)
