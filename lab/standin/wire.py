"""The private protocol between our tbot and our teleport: HTTPS and JSON, paths in one place.

Every answer but 200 carries a :class:`~lab.standin.failure.Refusal` as JSON. ``join`` returns a bearer token that
stands for the bot's certificate in Teleport; the other calls need it.
"""

from __future__ import annotations

PING = "/webapi/ping"
HOST_CA = "/standin/v1/host-ca"
JOIN = "/standin/v1/join"
ISSUE = "/standin/v1/issue"
HEARTBEAT = "/standin/v1/heartbeat"
BUNDLE = "/standin/v1/bundle"

#: Seconds a request for the next bundle is held open when nothing changes.
BUNDLE_HOLD = 25.0

#: Header in every answer of the stand-in's web port, and the field in the ping answer that says the same.
STAND_IN_HEADER = "X-Stand-In"
STAND_IN_FIELD = "stand_in"
