"""Probe pods: what an interruption does to those that are waited for."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any, cast

import pytest

from observe.wait import NotYet, eventually
from provision.probes import Probes


def test_an_interruption_does_not_wait_for_pods_that_never_come() -> None:
    probes = Probes(cast("Any", None), cast("Any", None), image="", patience=60)
    waiting = threading.Event()
    main = threading.get_ident()

    def look() -> str:
        waiting.set()
        raise NotYet("Pending")

    def interrupt() -> None:
        waiting.wait()
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        probes._each(("a", "b"), lambda node: eventually(f"the probe pod of {node}", look, probes._pace(60)))

    assert time.monotonic() - began < 10
