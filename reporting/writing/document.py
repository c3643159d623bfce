"""The report as a JSON document: writing, reading, and its schema.

After a change of the model, write the schema anew:
``python -m reporting.writing.document > reporting/writing/report.schema.json``.

A finding's sentence (`facts.finding.Finding.seen`) is made from its parts. The document has it for other programs;
what reads the document back does not ask for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
from pydantic import TypeAdapter, ValidationError

from facts.errors import BadInput
from reporting.model import SCHEMA_VERSION, Report
from reporting.writing.printable import in_json

SCHEMA_FILE = Path(__file__).with_name("report.schema.json")

_ADAPTER = TypeAdapter(Report)


def to_plain(report: Report) -> dict[str, Any]:
    """The report as dictionaries, lists, strings and numbers."""
    plain: dict[str, Any] = _ADAPTER.dump_python(report, mode="json")
    return plain


def to_json(report: Report) -> str:
    """The report as JSON, checked against the committed schema.

    Raises:
        jsonschema.ValidationError: The model and the committed schema have drifted apart.
    """
    plain = to_plain(report)
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))).validate(plain)
    return in_json(json.dumps(plain, indent=2, ensure_ascii=False)) + "\n"


def from_plain(plain: Any, where: str = "report.json") -> Report:
    """Reads a report from its plain form.

    Raises:
        BadInput: It is not a report of this schema version.
    """
    version = plain.get("schema_version") if isinstance(plain, Mapping) else None
    if version != SCHEMA_VERSION:
        raise BadInput(
            expected=f"a report of schema version {SCHEMA_VERSION}",
            seen=f"schema version {version!r}",
            where=where,
            remedy="read it with the version of the suite that wrote it",
        )
    try:
        return _ADAPTER.validate_python(plain)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            expected="a complete report",
            seen=f"{first['msg']} at {'.'.join(str(p) for p in first['loc'])}",
            where=where,
            remedy="restore the file from the run that wrote it",
        ) from error


def from_json(text: str, where: str = "report.json") -> Report:
    """Reads a report from its JSON.

    Raises:
        BadInput: It is not JSON, or not a report of this schema version.
    """
    try:
        return from_plain(json.loads(text), where)
    except json.JSONDecodeError as error:
        raise BadInput(
            expected="JSON", seen=str(error), where=where, remedy="restore the file from the run that wrote it"
        ) from error


def json_schema() -> dict[str, Any]:
    """The JSON schema of what `to_json` writes; the committed file is this. Every field is always written, and no other."""
    schema = _ADAPTER.json_schema(mode="serialization")
    schema["$defs"]["Finding"]["properties"]["seen"] = {"title": "Seen", "type": "string"}
    for each in (schema, *schema["$defs"].values()):
        if each.get("type") == "object":
            each["required"] = list(each["properties"])
            each["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


if __name__ == "__main__":
    json.dump(json_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")
