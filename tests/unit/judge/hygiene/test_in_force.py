"""HYG-06: changes of tbot's configuration and of the workload identity that are in force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from facts.finding import Finding
from facts.proxies.sds_mode import SdsMode
from judge.hygiene.in_force import configuration_is_in_force, identity_is_in_force
from providers.teleport.facts.tbot import Tbot
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, svid

CHANGED = "2026-03-01T10:00:00Z"
BEFORE, SAME, AFTER = "2026-03-01T09:59:59Z", CHANGED, "2026-03-01T10:00:01Z"


def started(*times: str, changed: str = CHANGED) -> Tbot:
    """A tbot on one node for each time at which its container started."""
    pods = []
    for number, time in enumerate(times, 1):
        pod = make.tbot_pod(f"tbot-{number}", node=f"node-{number}")
        containers = tuple(replace(each, started_at=time) for each in pod.spec.containers)
        pods.append(replace(pod, spec=replace(pod.spec, containers=containers)))
    return replace(make.tbot(*pods), config_changed_at=changed, config_certainly_changed_at=changed)


def test_every_tbot_started_after_the_change() -> None:
    holds(configuration_is_in_force(started(AFTER, SAME)), "HYG-06", "ev-agent")


def test_one_tbot_that_started_before_the_change() -> None:
    finding = configuration_is_in_force(started(AFTER, BEFORE))
    words = (f"it started at {BEFORE}, before ConfigMap teleport-system/tbot-config was changed at {CHANGED}",)
    violated(finding, "HYG-06", *words, causes=("tbot-config-not-in-force",))
    assert [each.subject.name for each in finding.problems] == ["tbot-2"]


def test_a_change_that_may_be_of_labels_alone_is_left_open() -> None:
    earlier = "2026-03-01T09:00:00Z"
    for certainly in ("", earlier):
        open_point = configuration_is_in_force(replace(started(BEFORE), config_certainly_changed_at=certainly))
        unknown(open_point, "HYG-06", "before texts or labels of ConfigMap")
    holds(configuration_is_in_force(replace(started(AFTER), config_certainly_changed_at=earlier)), "HYG-06")


def test_what_the_api_server_does_not_tell() -> None:
    unknown(configuration_is_in_force(started(AFTER, changed="")), "HYG-06", "no record")
    unknown(configuration_is_in_force(started(AFTER, "")), "HYG-06", "has not started")
    unknown(configuration_is_in_force(replace(started(AFTER), pods={})), "HYG-06", "no pod on any node")
    older = replace(
        started(AFTER), pods={"node-1": make.pod("tbot-1", node="node-1")}
    )  # of a template without this container
    unknown(configuration_is_in_force(older), "HYG-06", "has not started")


def carried(*proxies: Any, **identity: Any) -> Finding:
    return identity_is_in_force(make.sidecars(*proxies), (make.identity(**identity),), make.bundle())


FORMER = "/ns/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}"


def test_each_proxy_carries_what_the_template_yields() -> None:
    holds(carried(make.proxy()), "HYG-06")


def test_a_template_that_was_mended_since() -> None:
    former = make.proxy(chain=(svid(uri=f"spiffe://{TRUST_DOMAIN}/ns/test-app/test-app"),))
    finding = carried(former)
    violated(finding, "HYG-06", "it carries spiffe://", "the template now yields spiffe://")
    assert finding.causes == ("identity-change-not-in-force",)


def test_a_wrong_template_that_is_not_in_force_and_another_workloads_name_are_no_lack_of_a_restart() -> None:
    violated(carried(make.proxy(), spiffe_id=FORMER), "HYG-06", "the template now yields spiffe://", causes=())
    other = make.proxy(chain=(svid(uri=f"spiffe://{TRUST_DOMAIN}/ns/bank/sa/admin"),))
    violated(carried(other), "HYG-06", "it carries spiffe://", causes=())


def test_a_proxy_that_carries_it_hides_none_that_does_not() -> None:
    stale = make.proxy(make.pod("stale", service_account="other"), chain=(svid("test-app", "test-app"),))
    finding = carried(make.proxy(), stale)
    violated(finding, "HYG-06", causes=())
    assert [each.subject.name for each in finding.problems] == ["stale"]


def test_one_of_several_identities_is_enough() -> None:
    identities = (make.identity(name="other", spiffe_id="/other"), make.identity())
    holds(identity_is_in_force(make.sidecars(make.proxy()), identities, make.bundle()), "HYG-06")
    unfollowed = (make.identity(name="other", spiffe_id="/{{ user.name }}"), make.identity())
    holds(identity_is_in_force(make.sidecars(make.proxy()), unfollowed, make.bundle()), "HYG-06")


def test_a_template_that_the_suite_cannot_follow() -> None:
    unknown(
        carried(make.proxy(), spiffe_id="/{{ user.traits.team }}/x"), "HYG-06", "does not know what /{{ user.traits.team"
    )


def test_an_identity_that_does_not_exist() -> None:
    finding = identity_is_in_force(make.sidecars(make.proxy()), (make.absent("workload_identity/gone"),), make.bundle())
    unknown(finding, "HYG-06", "does not exist")


def test_a_certificate_of_istiod_says_nothing_about_the_template() -> None:
    finding = carried(make.proxy(), make.istiod_proxy(make.pod("other")), spiffe_id="/ns/x")
    assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/other"]
    unknown(carried(make.istiod_proxy()), "HYG-06", "none of them holds a certificate of tbot")
    for mode in (SdsMode.SILENT, SdsMode.EXTERNAL):
        unknown(carried(make.proxy(chain=(), sds_mode=mode)), "HYG-06", "none of them holds")


def test_a_mesh_without_proxies() -> None:
    inapplicable(carried(), "HYG-06")


def test_the_next_step_where_a_pod_was_not_asked_is_another_one_than_where_a_template_is_not_followed() -> None:
    observed = make.sidecars(make.proxy())
    unasked = replace(observed, pods=[*observed.pods, make.pod("late")])
    finding = identity_is_in_force(unasked, (make.identity(),), make.bundle())
    unknown(finding, "HYG-06", "Pod test-app/late")
    assert finding.settle.startswith("run again")
    followed = carried(make.proxy(), spiffe_id="/{{ user.traits.team }}/x")
    assert followed.settle == "compare the template with the certificates by hand"
