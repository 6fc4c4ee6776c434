"""Tables for other programs: CSV, and Parquet by DuckDB, which is an extra (``pip install 'lambent[parquet]'``).

Amounts are texts of exact decimals. In Parquet they are DECIMAL where 38 digits are enough for all of a column, as they
nearly always are, else texts.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from lambent.cli.terminal import CommandError, UsageError, one_line

_DECIMAL_DIGITS_MAX = 38
CsvOption = Annotated[bool, typer.Option("--csv", help="Print rows as CSV.")]
ParquetOption = Annotated[bool, typer.Option("--parquet", help="Write rows as a Parquet file.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write.", show_default=False)
]
AMOUNT = "AMOUNT"
"""The type of a column of exact decimals; the others are DuckDB's."""


def write_csv(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], output: Path | None) -> None:
    """Write rows as CSV, to a file or to standard output."""
    if output is None:
        _write_csv(columns, rows, sys.stdout)
        sys.stdout.flush()
        return
    with output.open("w", newline="", encoding="utf-8") as file:
        _write_csv(columns, rows, file)


def _write_csv(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def write_parquet(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], output: Path | None) -> None:
    """Write rows as a Parquet file.

    Args:
        columns: names, and DuckDB's types or `AMOUNT`.
        rows: by name.
        output: where to.

    Raises:
        UsageError: no file was named.
        CommandError: DuckDB is not installed.
    """
    if output is None:
        raise UsageError("--parquet needs --output FILE.")
    duckdb = _duckdb()
    if not output.absolute().parent.is_dir():
        raise CommandError(f"{output.parent} is no directory to write {output.name} into.")
    with tempfile.TemporaryDirectory(prefix="lambent-parquet-") as directory:
        draft = Path(directory) / "rows.json"
        scales: dict[str, tuple[int, int]] = {n: (0, 0) for n, kind in columns.items() if kind == AMOUNT}
        with draft.open("w", encoding="utf-8") as file:
            for row in rows:
                values = {name: _cell(row.get(name)) for name in columns}
                for name, scale in scales.items():
                    scales[name] = _wider(scale, values[name])
                file.write(json.dumps(values) + "\n")
        types = {name: _type(kind, scales.get(name)) for name, kind in columns.items()}
        part = output.with_name(output.name + ".part")
        connection = duckdb.connect()
        try:
            _convert(connection, draft, types, part)
            part.replace(output)
        except duckdb.Error as error:
            raise CommandError(f"{output} cannot be written: {one_line(error)}") from error
        finally:
            connection.close()
            part.unlink(missing_ok=True)


def _convert(connection: Any, draft: Path, types: Mapping[str, str], output: Path) -> None:
    # As text first: a JSON number would become a float on its way to a decimal.
    texts = ", ".join(f"'{name}': 'VARCHAR'" for name in types)
    casts = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in types.items())
    connection.execute(
        f"COPY (SELECT {casts} FROM read_json($draft, format = 'newline_delimited', columns = {{{texts}}})) "  # noqa: S608 - our own names
        f"TO '{str(output).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)",
        {"draft": str(draft)},
    )


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise CommandError(
            "Parquet files are written by DuckDB, which is not installed: pip install 'lambent[parquet]'."
        ) from None
    return duckdb


def _wider(scale: tuple[int, int], text: Any) -> tuple[int, int]:
    """Return digits before and after the point that also hold an amount."""
    if text is None:
        return scale
    whole, _, fraction = str(text).lstrip("-").partition(".")
    return max(scale[0], len(whole)), max(scale[1], len(fraction))


def _type(kind: str, scale: tuple[int, int] | None) -> str:
    if scale is None:
        return kind
    digits = sum(scale)
    return f"DECIMAL({max(1, digits)}, {scale[1]})" if digits <= _DECIMAL_DIGITS_MAX else "VARCHAR"


def only_one(**flags: bool) -> str | None:
    """Return which of several formats is asked for; None: none of them.

    Raises:
        UsageError: more than one is.
    """
    chosen: Sequence[str] = [name for name, is_asked in flags.items() if is_asked]
    if len(chosen) > 1:
        raise UsageError(f"Give only one of {', '.join(f'--{name}' for name in flags)}.")
    return chosen[0] if chosen else None
