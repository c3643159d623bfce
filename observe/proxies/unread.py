"""The reading of one proxy among many: whatever its answer does to a parser, the others are read."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from facts.errors import ConformanceError, CouldNotTell
from facts.kubernetes.objects import Pod
from facts.proxies.identity import PodRef, Unread
from facts.redaction import beginning

T = TypeVar("T")


def read_or_unread(pod: Pod, read: Callable[[], T]) -> T | Unread:
    """What was read of one proxy, or the reason why nothing was.

    Args:
        pod: The pod whose proxy is read.
    """
    try:
        return read()
    except CouldNotTell as error:
        return Unread(PodRef.of(pod), error, datetime.now(UTC))
    except ConformanceError:
        raise  # it is about the run, not about this proxy
    except Exception as error:
        # The owner of a pod decides what its Envoy, its agent and its SDS server answer. An answer that breaks a parser in
        # a way that nobody foresaw must not take the other proxies out of the report. The reason shows the error.
        return Unread(PodRef.of(pod), _unforeseen(pod, error), datetime.now(UTC))


def _unforeseen(pod: Pod, error: Exception) -> CouldNotTell:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    words = beginning(f"{type(error).__name__}: {error}", 300)
    why = CouldNotTell(
        expected="an answer of the proxy that this suite understands",
        seen=f"a defect of this suite or a hostile answer: {words} (in {frame.name}, {Path(frame.filename).name})",
        where=str(pod.ref),
        remedy="look at the answers of its Envoy by hand; if they are as documented, report this message as a defect",
    )
    why.__cause__ = error
    return why
