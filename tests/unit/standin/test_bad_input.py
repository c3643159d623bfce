"""Whatever a person writes into a resource or a configuration file, the stand-in answers with a sentence."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import yaml

from lab.standin.agent import config as tbot_config
from lab.standin.auth import access, issuing, resources
from lab.standin.auth import config as teleport_config
from lab.standin.failure import Refusal
from lab.standin.release import Release

TOKEN = """
kind: token
version: v2
metadata: {name: t, labels: {a: b}}
spec:
  roles: [Bot]
  bot_name: b
  join_method: kubernetes
  kubernetes:
    type: static_jwks
    static_jwks: {jwks: '{"keys": []}'}
    allow: [{service_account: "ns:sa"}]
"""
ROLE = """
kind: role
version: v7
metadata: {name: r}
spec:
  allow:
    workload_identity_labels: {env: [dev], team: "^x$"}
    rules: [{resources: [workload_identity], verbs: [read, list]}]
  deny: {workload_identity_labels: {env: [prod]}, rules: []}
"""
IDENTITY = """
kind: workload_identity
version: v1
metadata: {name: i, labels: {env: dev}}
spec:
  rules:
    allow:
    - expression: 'workload.unix.uid == 1 && join.meta.join_method != "x"'
    - conditions:
      - {attribute: workload.kubernetes.namespace, eq: {value: ns}}
      - {attribute: workload.kubernetes.namespace, in: {values: [ns]}}
  spiffe:
    id: /ns/{{ workload.kubernetes.namespace }}
    hint: h
    x509:
      maximum_ttl: 600s
      dns_sans: ['{{ workload.kubernetes.namespace }}.x']
      subject_template: {common_name: x}
"""
BOT = "{kind: bot, version: v1, metadata: {name: b}, spec: {roles: [r], traits: []}}"
TBOT = """
version: v2
proxy_server: "x:1"
insecure: true
credential_ttl: 60m
renewal_interval: 20m
storage: {type: directory, path: /x}
onboarding: {join_method: kubernetes, token: t, ca_pins: [], kubernetes: {token_path: /x}}
services:
- type: workload-identity-api
  name: n
  listen: unix:///x
  selector: {labels: {a: [b]}}
  credential_ttl: 60m
  renewal_interval: 20m
  attestors:
    kubernetes: {enabled: true, kubelet: {secure_port: 1, token_path: /x, ca_path: /y, skip_verify: true}}
    unix: {binary_hash_max_size_bytes: 1}
"""
TELEPORT = """
version: v3
teleport: {nodename: n, data_dir: /x, log: {severity: INFO, format: {output: text}}}
auth_service: {enabled: yes, cluster_name: c, listen_addr: "0.0.0.0:3025"}
proxy_service: {enabled: yes, web_listen_addr: "0.0.0.0:3080", public_addr: ["c:3080"]}
"""
ATTRIBUTES = {
    "workload": {"unix": {"uid": 1}, "kubernetes": {"namespace": "ns"}},
    "join": {"meta": {"join_method": "kubernetes"}},
    "user": {},
}
OTHER_VALUES: list[Any] = [None, 1, -1, True, "", "x", "{{ x", "{{ }}", [], ["x"], [1], [{}], {}, {"x": 1}, {1: "x"}]


def mangled(text: str) -> Iterator[Any]:
    """The document with each of its values replaced by values of other types, one at a time."""
    document = yaml.safe_load(text)
    for path in _paths(document):
        for value in OTHER_VALUES:
            changed = copy.deepcopy(document)
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            yield changed


def _paths(node: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*prefix, key)
        yield from _paths(value, (*prefix, key))


@pytest.mark.parametrize("text", [TOKEN, ROLE, IDENTITY, BOT], ids=["token", "role", "workload_identity", "bot"])
def test_resources(text: str) -> None:
    taken = refused = 0
    for document in mangled(text):
        try:
            kind, kept = resources.checked(document)
            if kind.name == "workload_identity":
                issuing.decide(kept, ATTRIBUTES).lifetime(timedelta(hours=1))
            if kind.name == "role":
                access.may([kept], "read")
                access.matches_labels([kept], {"env": "dev", "team": "x"})
            taken += 1
        except Refusal:
            refused += 1
    assert taken
    assert refused


def test_configuration_of_tbot() -> None:
    refused = 0
    for document in mangled(TBOT):
        try:
            tbot_config.read(document, Release(18, 6, 4))
        except Refusal:
            refused += 1
    assert refused


def test_configuration_of_teleport(tmp_path: Any) -> None:
    path = tmp_path / "teleport.yaml"
    refused = 0
    for document in mangled(TELEPORT):
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        try:
            teleport_config.load(path)
        except Refusal:
            refused += 1
    assert refused
