"""Fills in the ``${NAME}`` variables of the manifests, as ``envsubst`` does, but strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from facts.errors import BadInput

MANIFESTS = Path(__file__).resolve().parent.parent / "manifests"
VARIABLE = re.compile(r"\$\{([^}]*)\}")
"""A variable in a manifest; its group is the name."""

_BARE = re.compile(r"\$[A-Za-z_]")
_PLAIN_VALUE = re.compile(r"[\w./:@+-]+")


def render(text: str, variables: Mapping[str, str], *, where: str) -> str:
    """Replace each ``${NAME}``.

    Args:
        text: Text of a manifest.
        variables: Values by name; a value may contain only characters without a meaning in YAML.
        where: File, for errors.

    Raises:
        BadInput: An unknown variable, a ``$NAME`` without braces (which envsubst replaces and this function does not), or a
            value that could change the meaning of the document.
    """
    bare = _BARE.search(text)
    if bare:
        raise BadInput(
            expected="variables written as ${NAME}",
            seen=f"{bare.group()!r} in line {text.count(chr(10), 0, bare.start()) + 1}",
            where=where,
            remedy="put braces around the name, or avoid the dollar sign",
        )

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            raise BadInput(
                expected=f"one of the variables {', '.join(sorted(variables))}",
                seen=f"${{{name}}}",
                where=where,
                remedy="correct the name in the manifest",
            )
        if not _PLAIN_VALUE.fullmatch(variables[name]):
            raise BadInput(
                expected=f"a plain value for {name}: letters, digits and . / : @ + - _",
                seen=repr(variables[name]),
                where=where,
                remedy="correct the setting that has this value",
            )
        return variables[name]

    return VARIABLE.sub(value, text)


def documents(path: Path, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the YAML documents of a manifest, rendered and parsed.

    Raises:
        BadInput: See `render`; or the file is missing or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return [d for d in yaml.safe_load_all(render(text, variables, where=str(path))) if d is not None]
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(
            expected="a readable YAML manifest",
            seen=str(error),
            where=str(path),
            remedy="restore the file from the repository",
        ) from error
