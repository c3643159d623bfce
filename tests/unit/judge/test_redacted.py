"""Values that look like secrets, from the reading to the finding: neither equal nor unequal, and the finding says so."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.document import decoded
from facts.evidence import ObjectRef, evidence_of
from facts.istio.injection import parse_dry_run
from facts.istio.mesh import KEPT_OF_INJECTOR, KEPT_OF_MESH
from facts.kubernetes.objects import parse_pod
from facts.redaction import Hiding
from providers.teleport.facts.resources import parse_join_token, parse_ping
from providers.teleport.facts.tbot_config import KEPT as KEPT_OF_TBOT
from providers.teleport.judge.teleport import allows_only_tbot
from tests.data import document
from tests.unit.judge.assertions import holds, unknown, violated

TOKEN = document("teleport/token.json")
RANDOM = "abcdef.0123456789abcdef"
"""A name that has the form of a bootstrap token of kubeadm."""


def read(whole: Any, parser: Any) -> Any:
    """A fact as it is made from what evidence keeps of a document."""
    kept = evidence_of("q", ObjectRef("Token", "t"), json.dumps(whole), read_at=datetime.now(UTC), parser=parser)
    return parser(decoded(kept.body), (kept.id,))


def allowing(*service_accounts: str) -> Any:
    whole = copy.deepcopy(TOKEN)
    resource = whole[0] if isinstance(whole, list) else whole
    resource["spec"]["kubernetes"]["allow"] = [{"service_account": name} for name in service_accounts]
    return read(whole, parse_join_token)


def test_a_service_account_that_looks_like_a_secret_could_be_any() -> None:
    for allowed in (f"Bearer {RANDOM}", f"token={RANDOM}"):
        token = allowing(allowed)
        assert token.allow != (allowed,), "the suite takes it for a secret"
        unknown(allows_only_tbot(token, "teleport-system:tbot"), "INST-10", "it allows", "[redacted] stands for a value")
        unknown(allows_only_tbot(token, token.allow[0]), "INST-10", "[redacted] stands for a value")
    also = allowing("teleport-system:tbot", f"Bearer {RANDOM}")
    unknown(allows_only_tbot(also, "teleport-system:tbot"), "INST-10", "it also allows Bearer [redacted]")


def test_names_of_a_namespace_and_an_account_are_no_secret_beside_each_other() -> None:
    for own in ("teleport-auth:tbotagent1", "auth:machineid2", f"{RANDOM}:x"):
        holds(allows_only_tbot(allowing(own), own), "INST-10")
        violated(allows_only_tbot(allowing(own), "teleport-system:tbot"), "INST-10", f"it allows {own}")


def test_what_does_not_look_like_one_is_compared() -> None:
    holds(allows_only_tbot(allowing("teleport-system:tbot"), "teleport-system:tbot"), "INST-10")
    violated(allows_only_tbot(allowing("default:default"), "teleport-system:tbot"), "INST-10", "it allows default:default")


@pytest.mark.parametrize("image", [f"{RANDOM}/tbot:1.2", f"{RANDOM}:5000/a/tbot@sha256:{'0' * 64}", RANDOM])
def test_the_name_of_a_registry_is_no_secret(image: str) -> None:
    spec = {"containers": [{"name": "app", "image": image}]}
    pod = read({"metadata": {"name": "a", "namespace": "b", "labels": {"app": RANDOM}}, "spec": spec}, parse_pod)
    assert pod.spec.container("app").image == image
    assert pod.labels == {"app": RANDOM}


def test_the_names_of_trust_domains_and_of_teleport_are_no_secrets() -> None:
    ping = {"cluster_name": RANDOM, "server_version": "18.0.0"}
    assert read(ping, parse_ping).cluster_name == RANDOM
    mesh = f"trustDomain: {RANDOM}\ntrustDomainAliases: [{RANDOM}]\n"
    values = json.dumps({"global": {"hub": f"{RANDOM}/istio"}})
    kept = KEPT_OF_MESH.kept({"mesh": mesh}, Hiding())
    assert kept == {"mesh": {"trustDomain": RANDOM, "trustDomainAliases": [RANDOM]}}
    assert KEPT_OF_INJECTOR.kept({"values": values}, Hiding()) == {"values": {"global": {"hub": f"{RANDOM}/istio"}}}
    assert KEPT_OF_TBOT.kept(f"proxy_server: {RANDOM}:443", Hiding()) == {"proxy_server": f"{RANDOM}:443"}


def test_a_message_with_a_secret_is_told_and_hides_no_failure() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": f"token: {RANDOM}"}}
    status = {"phase": "Pending", "message": "password=a1b2c3", "containerStatuses": [{"name": "app", "state": waiting}]}
    spec = {"containers": [{"name": "app", "image": "i"}]}
    pod = read({"metadata": {"name": "a", "namespace": "b"}, "spec": spec, "status": status}, parse_pod)
    assert pod.message == "password=[redacted words]"
    assert pod.containers[0].message == "token: [redacted words]"
    refused = read({"kind": "Status", "message": "env: password=a1b2c3", "code": 403}, parse_dry_run)
    assert refused.message == "env: password=[redacted words]"
