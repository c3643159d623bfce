"""Several revisions of Istio, made of the captured one."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from tests.data import document
from tests.unit.observe.api_server import ApiServer
from tests.unit.observe.captured import APPS

SYSTEM = "istio-system"


def istiods(server: ApiServer, *of: tuple[str, str], gateway: str = "default", **mesh: Any) -> None:
    """Serves an istiod of each revision, in its namespace, with ConfigMaps of its own; `mesh` changes the configuration.

    The gateway names the revision `gateway`.
    """
    deployments = document("cluster/deployments.json")
    istiod = next(d for d in deployments["items"] if d["metadata"]["name"] == "istiod")
    others = [copy.deepcopy(d) for d in deployments["items"] if d is not istiod]
    for each in others:
        labels = each["spec"]["template"]["metadata"].get("labels", {})
        labels |= {"istio.io/rev": gateway} if "istio.io/rev" in labels else {}
    made = []
    for namespace, revision in of:
        one = copy.deepcopy(istiod)
        suffix = "" if revision == "default" else f"-{revision}"
        one["metadata"]["labels"]["istio.io/rev"] = revision
        one["metadata"].update(name=f"istiod{suffix}", namespace=namespace)
        made.append(one)
        config = copy.deepcopy(document("cluster/config_map_istio.json"))
        config["data"]["mesh"] = yaml.safe_dump(yaml.safe_load(config["data"]["mesh"]) | mesh.get(revision, {}))
        injector = document("cluster/config_map_injector.json")
        for name, served in (("istio", config), ("istio-sidecar-injector", injector)):
            server.answer(f"GET /api/v1/namespaces/{namespace}/configmaps/{name}{suffix}", served)
    server.answer(f"GET {APPS}/deployments", {"items": others + made})


def webhook(name: str, **labels: str) -> dict[str, Any]:
    """A webhook of Istio, with what the suite must not keep."""
    keyed = {f"istio.io/{key}": value for key, value in labels.items()}
    client = {"caBundle": "LS0tLS1CRUdJTg==", "service": {"name": "istiod", "namespace": "istio-system"}}
    return {"metadata": {"name": name, "labels": keyed}, "webhooks": [{"name": f"{name}.istio.io", "clientConfig": client}]}
