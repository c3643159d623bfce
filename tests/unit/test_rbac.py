"""What ``make rbac`` concludes from an audit log, and how the API server of the lab gets one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from observe.kubernetes.needed import NEEDED, Needed, Role, Where
from settings import Names
from tests.lab.rbac import DECISION, LOG, POLICY, USER, Request, audited, named, policy, requests_of, single, unused

NAMES = Names()


def event(verb: str, resource: str, namespace: str = "", **changes: Any) -> str:
    plural, _slash, subresource = resource.partition("/")
    about = {"resource": plural, "subresource": subresource, "namespace": namespace, "apiGroup": changes.pop("group", "")}
    made = {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": USER},
        "requestURI": f"/api/v1/{resource}",
        "objectRef": {key: value for key, value in about.items() if value},
        "responseStatus": {"code": 200},
        "annotations": {DECISION: "allow"},
    }
    return json.dumps(made | changes)


def asked(*lines: str) -> list[Request]:
    return list(requests_of("\n".join(lines)))


def row(verb: str, resource: str, where: Where = Where.EVERYWHERE, role: Role = Role.READ_ONLY, group: str = "") -> Needed:
    return Needed(role, (verb,), group, (resource,), "", where)


def test_a_request_is_told_from_its_event() -> None:
    (request,) = asked(event("get", "pods/log", "shop"))
    assert (str(request), request.allowed, request.status) == ("get pods/log in shop", True, 200)
    (request,) = asked(event("patch", "daemonsets", "teleport-system", group="apps"))
    assert str(request) == "patch daemonsets.apps in teleport-system"
    (request,) = asked(event("get", "", requestURI="/openid/v1/jwks?x=1", objectRef=None))
    assert str(request) == "get /openid/v1/jwks"


def test_a_namespace_is_in_no_namespace() -> None:
    (request,) = asked(event("delete", "namespaces", "conformance-1"))
    assert request.namespace == ""


def test_only_the_certifiers_answered_requests_count() -> None:
    other = event("list", "secrets", user={"username": "kubernetes-admin"})
    assert asked(other, event("list", "pods", stage="RequestReceived")) == []
    assert len(asked(event("get", "pods/portforward", "a", stage="ResponseStarted"))) == 1


def test_a_denied_request_is_told() -> None:
    (request,) = asked(event("list", "secrets", annotations={DECISION: "forbid"}, responseStatus={"code": 403}))
    assert (str(request), request.allowed) == ("list secrets", False)


@pytest.mark.parametrize(("code", "verbs"), [(201, ("patch", "create")), (200, ("patch",))])
def test_an_apply_that_makes_an_object_takes_two_verbs(code: int, verbs: tuple[str, ...]) -> None:
    (request,) = asked(event("patch", "pods", "conformance-1", responseStatus={"code": code}))
    assert request.verbs == verbs


def test_a_right_that_no_request_needs_is_told() -> None:
    rights = [row("list", "pods"), row("get", "configmaps", Where.ISTIO), row("get", "configmaps", Where.TBOT)]
    left = unused(rights, asked(event("list", "pods", "shop"), event("get", "configmaps", "istio-system")), NAMES)
    assert left == [rights[2]]
    assert unused(rights, [], NAMES) == rights
    assert unused(rights, asked(event("list", "pods", group="metrics.k8s.io"), event("get", "pods")), NAMES) == rights


def test_a_request_counts_for_the_first_right_that_allows_it() -> None:
    lower, wider = row("get", "pods/log", Where.TBOT), row("get", "pods/log", role=Role.NAMESPACED)
    only_tbot = asked(event("get", "pods/log", "teleport-system"))
    assert unused([lower, wider], only_tbot, NAMES) == [wider]
    assert unused([lower, wider], [*only_tbot, *asked(event("get", "pods/log", "conformance-1"))], NAMES) == []


def test_a_right_that_a_wider_one_includes_is_not_listed() -> None:
    wider, included = row("get", "deployments", group="apps"), row("get", "deployments", Where.ISTIO, group="apps")
    assert unused([wider, included], asked(event("get", "deployments", "istio-system", group="apps")), NAMES) == []
    assert unused([included, wider], [], NAMES) == [included, wider]


def test_an_apply_uses_both_verbs_of_its_kind() -> None:
    rights = [row("create", "configmaps"), row("patch", "configmaps")]
    made = event("patch", "configmaps", "conformance-1", responseStatus={"code": 201})
    assert unused(rights, asked(made), NAMES) == []
    assert unused(rights, asked(event("patch", "configmaps", "a")), NAMES) == [rights[0]]


def test_single_rights_are_all_of_a_row() -> None:
    (found,) = [each for each in NEEDED if each.resources == ("deployments", "daemonsets")]
    assert [each.shown() for each in single([found])] == ["list deployments.apps", "list daemonsets.apps"]
    assert sum(len(each.verbs) * len(each.resources) for each in NEEDED) == len(single(NEEDED))


def test_a_right_is_named_as_the_suites_errors_name_it() -> None:
    assert named(row("get", "pods/log", Where.APP)) == "the right to get pods/log"
    gateways = [each for each in single(NEEDED) if each.gateway_api and each.resources == ("gateways",)]
    assert named(gateways[0]) == "the right to create gateways.gateway.networking.k8s.io"


def test_the_audit_policy_is_about_the_certifier_alone() -> None:
    first, *rest = yaml.safe_load(policy())["rules"]
    assert (first["users"], first["level"]) == (["system:serviceaccount:conformance:certifier"], "Metadata")
    assert rest == [{"level": "None"}]


def test_the_api_server_gets_its_policy_and_writes_its_log_on_the_node() -> None:
    pod = {
        "spec": {
            "containers": [{"command": ["kube-apiserver", "--secure-port=6443"], "volumeMounts": [{"name": "certs"}]}],
            "volumes": [{"name": "certs"}],
        }
    }
    changed = yaml.safe_load(audited(yaml.safe_dump(pod)))["spec"]
    (server,) = changed["containers"]
    assert server["command"][:2] == ["kube-apiserver", "--secure-port=6443"]
    assert {f"--audit-policy-file={POLICY}", f"--audit-log-path={LOG}"} <= {*server["command"]}
    mounted = {mount["name"]: mount.get("mountPath") for mount in server["volumeMounts"]}
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in changed["volumes"] if "hostPath" in volume}
    assert mounted.keys() == {"certs", *paths}
    assert all(mounted[name] == path for name, path in paths.items())
    assert LOG.startswith(f"{paths['audit-log']}/")
