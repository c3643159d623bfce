"""A Lease that can be made and changed, in the API server of the tests."""

from __future__ import annotations

import itertools

from aiohttp import web

from tests.unit.observe.api_server import ApiServer
from tests.unit.provision.cluster import merged

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
LEASE = f"{LEASES}/istio-teleport-conformance"

HANDLE = ApiServer.handle
_VERSIONS = itertools.count(100)


async def with_a_lease(server: ApiServer, request: web.Request) -> web.StreamResponse:
    """Answer as the API server of the other tests, and keep the Lease, with a version that each change must name.

    A test puts it in the place of `ApiServer.handle`.
    """
    if request.path == LEASES and request.method == "POST":
        if f"GET {LEASE}" in server.answers:
            return web.json_response({"message": "already exists"}, status=409)
        made = await request.json()
        server.answer(f"GET {LEASE}", made | {"metadata": made["metadata"] | {"resourceVersion": str(next(_VERSIONS))}})
        server.asked.append(("POST", request.path_qs, made))
        return web.json_response(made, status=201)
    if request.path == LEASE and request.method == "PATCH":
        now, change = server.answers[f"GET {LEASE}"].body, await request.json()
        if change["metadata"]["resourceVersion"] != now["metadata"]["resourceVersion"]:
            return web.json_response({"message": "the object has been modified"}, status=409)
        changed = merged(now, change)
        changed["metadata"]["resourceVersion"] = str(next(_VERSIONS))
        server.answer(f"GET {LEASE}", changed)
    return await HANDLE(server, request)
