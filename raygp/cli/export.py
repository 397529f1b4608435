"""``raygp export``: a version as files that run without raygp."""

from __future__ import annotations

import argparse
from pathlib import Path

from raygp.cli.options import add_own_task, line_of
from raygp.cli.printer import printing
from raygp.cli.running import load_slow_modules, make_console
from raygp.errors import InputError
from raygp.export import FORMATS, ExportRequest

NAME = "export"
HELP = "a version as files that run without raygp, with a model card and a program that uses them"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--format", choices=FORMATS.names(), default="onnx", help="of the model's file (default onnx)")
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder to make")
    parser.add_argument("--version", default="head", metavar="NAME", help="such as v0002 (default: the head)")
    parser.add_argument(
        "--quantize", choices=("int8",), help="ONNX: weights and activations of 8 bits; says what accuracy that costs"
    )
    parser.add_argument(
        "--dense", action="store_true", help="ONNX: store every weight, also where most are zero, for old runtimes"
    )
    parser.add_argument(
        "--license", default="unknown", metavar="NAME", help="for the model card, such as apache-2.0 (default unknown)"
    )
    add_own_task(parser)


def run(options: argparse.Namespace) -> None:
    """Export a version.

    Raises:
        InputError: there is no such version, the folder is not empty, or a package is missing.
    """
    if not options.out.strip():
        raise InputError("--out is empty: name the folder to make")
    line = line_of(options)
    line.refresh()
    version = line.version(options.version)
    # What is wrong with the folder is said before torch loads.
    request = ExportRequest(Path(options.out), options.format, options.quantize, options.dense, options.license)
    load_slow_modules()
    with printing(make_console(), line.location) as printer:
        version.export(
            request.out,
            request.format,
            quantize=request.quantize,
            dense=request.dense,
            license=request.license,
            tell=printer,
        )
