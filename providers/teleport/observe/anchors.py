"""Trust anchors that the user expects: a trust domain, and its bundle in a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from facts.document import decoded
from facts.errors import BadInput, CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.provider.trust import TrustBundle, parse_bundle
from facts.recorder import Recorder


def read_anchors(file: Path, trust_domain: str, recorder: Recorder) -> TrustBundle:
    """Read the bundle that the user expects.

    Args:
        file: A SPIFFE bundle, as Teleport publishes it at ``/webapi/spiffe/bundle.json``.
        trust_domain: Whose bundle it is.
        recorder: Where the reading goes.

    Raises:
        BadInput: The file cannot be read, or is no bundle.
    """
    try:
        recorded = evidence_of(
            f"cat {file}",
            ObjectRef("Host", str(file)),
            file.read_text(encoding="utf-8"),
            read_at=datetime.now(UTC),
            parser=parse_bundle,
        )
        return parse_bundle(decoded(recorded.body), trust_domain, (recorder.record(recorded),))
    except (OSError, UnicodeDecodeError, CouldNotTell) as error:
        raise BadInput(
            expected="a SPIFFE bundle as JSON, with at least one X.509 authority",
            seen=error.seen if isinstance(error, CouldNotTell) else str(error),
            where=f"settings: trust_bundle = {file}",
            remedy="save what https://HOST:PORT/webapi/spiffe/bundle.json of the Teleport that you expect answers",
        ) from error
