"""Timelines as a run has them: proxies that renew, requests every second, an outage; made from looks and ledgers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from facts.errors import CouldNotTell
from facts.over_time.history import History
from facts.over_time.timeline import Action, Happening, Timeline, draw_up
from facts.proxies.identity import PodRef, Unread
from facts.traffic.load import COLUMNS, Clock, Load, parse_load
from tests.unit.judge import builders as make

BEGAN = datetime(2026, 11, 24, 8, 30, 0, 400_000, tzinfo=UTC)
TEXTS = ("", "ECONNREFUSED", "ConnectionRefusedError: [Errno 111] Connection refused", "timeout", "TimeoutError: timed out")


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def renewing(
    name: str,
    seconds: int,
    *,
    lifetime: int = 60,
    every: int = 20,
    stalled: tuple[int, int] = (0, 0),
    new_authority_at: int | None = None,
    unread: Sequence[int] = (),
) -> History:
    """A proxy that was looked at each second.

    Args:
        name: Of its pod.
        seconds: For how long.
        lifetime: Of its certificates, in seconds.
        every: Seconds from one to the next.
        stalled: From when to when nothing was renewed and no stream was there.
        new_authority_at: When it began to trust a second authority.
        unread: Seconds at which it could not be read.
    """
    identity = make.proxy()
    old = next(c for certificates in identity.root_authorities.values() for c in certificates)
    new = replace(old, sha256="c0ffee" + old.sha256[6:])
    seen = History(PodRef("mesh", name, f"uid-{name}", name, "node-1"))
    issued = 0
    for second in range(seconds + 1):
        if second in unread:
            why = CouldNotTell(expected="an answer", seen="HTTP 500: connection refused", where=name, remedy="look")
            seen = seen.missed(Unread(seen.pod, why, after(second)))
            continue
        cut = stalled[0] < second < stalled[1]
        if not cut and second - issued >= every:
            issued = second
        leaf = replace(
            identity.chain[0],
            serial=f"{0x7A31C0DE00 + issued * 7919 + sum(map(ord, name)):x}",
            uri_sans=(f"spiffe://mesh.example/ns/mesh/sa/{name}",),
            not_before=after(issued - 1),
            not_after=after(issued + lifetime),
        )
        trusted = (old,) if new_authority_at is None or second < new_authority_at else (old, new)
        look = replace(
            identity,
            chain=(leaf,),
            root_authorities={"mesh.example": trusted},
            streams=replace(identity.streams, rq_active=0 if cut else 2),
            uptime=100 + second,
            read_at=after(second),
            evidence=(),
        )
        seen = seen.seen(look)
    return seen


def calling(
    client: str, server: str, seconds: int, *, rate: int = 20, keep: bool = False, fails: Sequence[int] = ()
) -> Load:
    """A load of so many requests a second.

    Args:
        client: Name of the pod that calls.
        server: Name of the pod that is called.
        seconds: For how long.
        rate: Requests a second.
        keep: All over one connection.
        fails: Seconds in which every second request fails, for one of two reasons.
    """
    said = json.dumps({"server": _end(server), "peer": [f"By=b;Hash=ab12;URI=spiffe://mesh.example/ns/mesh/sa/{client}"]})
    texts = [text or said for text in ("", *TEXTS)]
    rows: list[list[int]] = []
    for number in range(seconds * rate):
        at, port = round(number * 1000 / rate), 40_000 if keep else 10_000 + number % 50_000
        if at // 1000 in fails and number % 2:
            rows.append([at, 3000, 0, 0, 0, 1, 4, 5] if number % 10 == 1 else [at, 1, 0, 0, 0, 1, 2, 3])
        else:
            rows.append([at, 4 + number % 7, port, 200, 1, 0, 1, 1])
    document = {
        "client": _end(client),
        "url": f"{'tcp' if keep else 'http'}://{server}.mesh:{9090 if keep else 8080}{'' if keep else '/'}",
        "rate": float(rate),
        "keep": keep,
        "began": after(0.3).isoformat(),
        "ended": after(seconds + 0.3).isoformat(),
        "due": len(rows),
        "columns": list(COLUMNS),
        "texts": [texts[0], "", *TEXTS[1:]],
        "rows": rows,
    }
    return parse_load(document, Clock(f"Pod mesh/{client}", 0.0123, 0.004))


def rotation(seconds: int = 90) -> Timeline:
    """Two proxies that renew under a load in each direction, with other lifetimes; all is well."""
    return draw_up(
        "Certificates are renewed under traffic",
        histories=[renewing("alpha", seconds), renewing("beta", seconds, lifetime=90, every=30)],
        loads=[
            calling("alpha", "beta", seconds),
            calling("beta", "alpha", seconds),
            calling("alpha", "beta", seconds, rate=5, keep=True),
        ],
        happenings=[Happening("tbot", after(s), f"renewed its own certificate, {s} s in") for s in range(9, seconds, 20)],
    )


def outage(seconds: int = 240) -> Timeline:
    """Tbot is gone for longer than the certificates live, and an authority is added afterwards."""
    gone = range(95, 150)
    return draw_up(
        "tbot is gone for longer than a certificate lives <& comes back>",
        histories=[
            renewing("alpha", seconds, stalled=(30, 150), new_authority_at=190),
            renewing("beta", seconds, stalled=(30, 150), new_authority_at=191, unread=(60, 61, 62)),
        ],
        loads=[calling("alpha", "beta", seconds, fails=[*gone, 200]), calling("beta", "alpha", seconds, fails=gone)],
        actions=[
            Action("tbot is stopped on both nodes", after(30), after(31.5)),
            Action("tbot is started again on both nodes", after(148), after(150)),
            Action(
                "Teleport's SPIFFE authority is rotated, phase init: the new one is handed out, nothing is signed with it",
                after(185),
                after(188),
            ),
            Action("the fleet has followed", after(192), after(192)),
        ],
        happenings=[
            Happening("tbot", after(30.2), "terminated"),
            Happening("tbot", after(149.1), "Listener opened"),
            Happening("Envoy", after(31), "StreamSecrets gRPC config stream to sds-grpc closed: 14"),
        ],
        clocks=[Clock("Node node-2", -0.21, 0.02)],
    )


def _end(name: str) -> dict[str, str]:
    return {"pod": name, "namespace": "mesh", "service_account": name, "node": "node-1"}
