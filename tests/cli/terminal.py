"""A terminal, as far as the live view uses one: what stands on it after some output."""

from __future__ import annotations

import re

_CODE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def screen(output: str) -> list[str]:
    """The lines of a terminal without end, without spaces at their ends, and without empty lines at the end.

    Raises:
        ValueError: the output has a code that this terminal does not know.
    """
    lines, row, column, place = [""], 0, 0, 0
    while place < len(output):
        if code := _CODE.match(output, place):
            place = code.end()
            count = int(code[1]) if (code[1] or "").isdigit() else 1
            if code[2] == "A":
                row = max(0, row - count)
            elif code[2] == "K":
                lines[row] = "" if code[1] == "2" else lines[row][:column]
            elif code[2] not in ("m", "h", "l", None):
                raise ValueError(code[0])
            continue
        character, place = output[place], place + 1
        if character == "\r":
            column = 0
        elif character == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        else:
            line = lines[row].ljust(column)
            lines[row], column = line[:column] + character + line[column + 1 :], column + 1
    found = [line.rstrip() for line in lines]
    while found and not found[-1]:
        found.pop()
    return found
