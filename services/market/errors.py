"""The market's public error reasons, and files' faults as errors."""

from __future__ import annotations

from libs.errors import AppError, Kind, Violation
from services.market.domain.faults import FileRefusedError

# Reasons of refused files and requests; the rest are libs.errors' own.
REASONS = {
    "missing_column": "The heading lacks a column.",
    "unknown_column": "The heading has a column that is not known.",
    "duplicate_column": "The heading has a column twice.",
    "bad_quoting": "The heading's quotes cannot be read.",
    "wrong_encoding": "The file is not UTF-8.",
    "truncated_file": "The file ends within a row.",
    "broken_gzip": "The gzip data cannot be unpacked.",
    "truncated_gzip": "The gzip data ends too early.",
    "too_large": "The file is larger than is taken.",
    "too_many_rows": "The file has more rows than are taken.",
    "no_rows": "No row of the file can be used.",
    "day_out_of_range": "The file's day cannot be.",
    "unknown_source": "No such source is configured.",
    "wrong_order": "Header, chunks and trailer do not come in order.",
    "size_mismatch": "Fewer or more bytes came than the trailer says.",
    "digest_mismatch": "Other bytes came than the trailer says.",
}


def refused(error: FileRefusedError) -> AppError:
    """A refused file as the caller is told of it."""
    kind = Kind.TOO_LARGE if error.reason == "too_large" else Kind.INVALID
    violations = [
        Violation(error.field, error.description, error.reason),
        *(
            Violation(fault.field or "row", f"line {fault.line}: {fault.description}", fault.reason)
            for fault in error.faults
        ),
    ]
    return AppError(
        kind, error.reason, f"{error.field}: {error.description}", violations=violations
    )
