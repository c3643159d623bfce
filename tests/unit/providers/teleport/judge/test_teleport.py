"""INST-09 and INST-10: the join token and its bot as Teleport holds them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.finding import Problem
from judge.explain.cause import CAUSES
from providers.teleport.judge.teleport import (
    allows_only_tbot,
    bot_has_role,
    fresh_token_verifies,
    holds_every_key,
    method_is_kubernetes,
    token_problems,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, violated
from tests.unit.judge.builders import ROLE, TBOT

TOKEN = make.absent("token/istio-tbot-k8s-join")
A_BOT = make.absent("bot/istio-tbot")


def token_problem_of(**changes: Any) -> Problem:
    """The only problem of a token with those changes."""
    (found,) = token_problems(make.token(**changes), make.jwks(), (TBOT,), make.bot(), ROLE)
    return found


def remedy(cause: str) -> str:
    return " ".join(CAUSES[cause].remedy)


# INST-09


def test_a_fresh_token_verifies_with_the_extracted_keys() -> None:
    holds(fresh_token_verifies(make.signature(), make.token(), ["ev-fresh"]), "INST-09", "ev-token", "ev-fresh")


def test_a_fresh_token_that_another_clusters_keys_do_not_verify() -> None:
    other = make.signature(ok=False, reason="the set has no key live; it has other")
    finding = fresh_token_verifies(other, make.token(), ["ev-fresh"])
    violated(finding, "INST-09", evidence=("ev-token", "ev-fresh"), causes=("jwks-of-other-keys",))
    words = "it does not verify a fresh service-account token: the set has no key live; it has other"
    assert finding.seen == f"Teleport token/istio-tbot-k8s-join: {words}"
    assert finding.where == "JWKS in Teleport token/istio-tbot-k8s-join"
    assert "kubectl get --raw /openid/v1/jwks" in remedy("jwks-of-other-keys")


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("PASTE_JWKS_HERE", ("jwks-placeholder",)),
        ("{}", ("jwks-placeholder",)),
        ("{keys:[{use:sig}]}", ()),
        ('{"keys":[]}', ()),
    ],
    ids=["placeholder", "a failed xargs", "quotes lost", "no key"],
)
def test_a_placeholder_and_a_damaged_key_set_are_no_keys_of_another_cluster(text: str, causes: tuple[str, ...]) -> None:
    no_keys = make.signature(ok=False, reason="no key to verify it with")
    finding = fresh_token_verifies(no_keys, make.token(jwks_text=text), ["ev-fresh"])
    violated(finding, "INST-09", "it does not verify a fresh service-account token: no key", causes=causes)


def test_without_a_join_token_no_keys_were_extracted() -> None:
    missing = make.signature(ok=False, reason=str(TOKEN))
    finding = fresh_token_verifies(missing, TOKEN, ["ev-fresh"])
    violated(finding, "INST-09", evidence=("ev-absent-token",), causes=("token-missing",))
    assert finding.seen == "Teleport token/istio-tbot-k8s-join: it does not exist"


# INST-10


def test_the_token_of_the_guide_joins() -> None:
    holds(method_is_kubernetes(make.token()), "INST-10", "ev-token")
    holds(allows_only_tbot(make.token(), TBOT), "INST-10", "ev-token")
    holds(holds_every_key(make.token(), make.jwks()), "INST-10", "ev-token", "ev-jwks")
    holds(bot_has_role(make.token(), make.bot(), ROLE), "INST-10", "ev-token", "ev-bot")
    assert token_problems(make.token(), make.jwks(), (TBOT,), make.bot(), ROLE) == []


def test_a_token_that_does_not_exist_violates_every_part() -> None:
    findings = (
        method_is_kubernetes(TOKEN),
        allows_only_tbot(TOKEN, TBOT),
        holds_every_key(TOKEN, make.jwks()),
        bot_has_role(TOKEN, make.bot(), ROLE),
    )
    for finding in findings:
        violated(finding, "INST-10", evidence=("ev-absent-token",), causes=("token-missing",))
        assert finding.seen == "it does not exist"
        assert finding.where == "Teleport token/istio-tbot-k8s-join"
    (only,) = token_problems(TOKEN, make.jwks(), (TBOT,), make.bot(), ROLE)
    assert (str(only.subject), only.said) == ("Teleport token/istio-tbot-k8s-join", "it does not exist")
    assert "istio-tbot-token.yaml.template" in remedy("token-missing")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"join_method": "token"}, "its join method is token"),
        ({"kubernetes_type": "remote"}, "its type is remote"),
        ({"kubernetes_type": ""}, "its type is not given"),
        ({"roles": ("Bot", "Node")}, "its roles are Bot, Node"),
        ({"roles": ()}, "its roles are none"),
    ],
)
def test_a_token_of_another_method(changes: dict[str, Any], words: str) -> None:
    finding = method_is_kubernetes(make.token(**changes))
    violated(finding, "INST-10", evidence=("ev-token",), causes=("token-method-wrong",))
    assert finding.seen == words
    assert token_problem_of(**changes) == finding.problems[0]


@pytest.mark.parametrize(
    ("allow", "words", "cause"),
    [
        ((), "it allows none, and not teleport-system:tbot", "token-other-service-account"),
        (("default:tbot",), "it allows default:tbot, and not teleport-system:tbot", "token-other-service-account"),
        ((TBOT, "default:default"), "it also allows default:default, which may join as the bot too", "token-too-wide"),
        (
            (TBOT, ""),
            "it also allows service accounts by other fields than service_account, which may join as the bot too",
            "token-too-wide",
        ),
    ],
)
def test_a_token_that_allows_not_exactly_tbot(allow: tuple[str, ...], words: str, cause: str) -> None:
    finding = allows_only_tbot(make.token(allow=allow), TBOT)
    violated(finding, "INST-10", evidence=("ev-token",), causes=(cause,))
    assert finding.seen == words
    assert token_problem_of(allow=allow) == finding.problems[0]
    assert "service_account: teleport-system:tbot" in remedy(cause)


def test_what_else_a_token_allows_is_no_matter_where_tbot_is_not_allowed() -> None:
    assert "may join as the bot" not in allows_only_tbot(make.token(allow=("default:tbot",)), TBOT).seen


@pytest.mark.parametrize(
    ("text", "words", "causes"),
    [
        ("PASTE_JWKS_HERE", "its JWKS is still the placeholder text of the template", ("jwks-placeholder",)),
        ("", "its JWKS is still the placeholder text of the template", ("jwks-placeholder",)),
        ("{}", "its JWKS is still the placeholder text of the template", ("jwks-placeholder",)),
        ("{keys:[{use:sig}]}", "its JWKS does not parse: ", ()),
        ('{"keys":[]}', "its JWKS does not parse: ", ()),
    ],
)
def test_a_token_that_was_never_filled_in_or_damaged_on_the_way(text: str, words: str, causes: tuple[str, ...]) -> None:
    finding = holds_every_key(make.token(jwks_text=text), make.jwks())
    violated(finding, "INST-10", evidence=("ev-token", "ev-jwks"), causes=causes)
    assert finding.seen.startswith(words)
    assert token_problem_of(jwks_text=text) == finding.problems[0]


def test_a_token_that_lacks_the_key_after_a_rotation() -> None:
    rotated = make.jwks(make.public_key("live"), make.public_key("new"))
    finding = holds_every_key(make.token(), rotated)
    violated(finding, "INST-10", evidence=("ev-token", "ev-jwks"), causes=("jwks-rotated-since",))
    assert finding.seen == "it lacks the cluster's keys new; it holds live"


def test_another_clusters_key_of_the_same_id_is_another_key() -> None:
    rebuilt = make.jwks(make.public_key("live", modulus="another"))
    finding = holds_every_key(make.token(), rebuilt)
    violated(finding, "INST-10", "it lacks the cluster's keys live", causes=("jwks-of-other-keys",))


@pytest.mark.parametrize("kind", ["in_cluster", "oidc"])
def test_where_teleport_asks_the_cluster_no_keys_were_extracted(kind: str) -> None:
    token = make.token(kubernetes_type=kind, jwks_text="")
    holds(method_is_kubernetes(token), "INST-10", "ev-token")
    inapplicable(holds_every_key(token, make.jwks()), "INST-10", "ev-token")
    inapplicable(holds_every_key(token, make.jwks(), "INST-09"), "INST-09", "ev-token")
    inapplicable(
        fresh_token_verifies(make.signature(ok=False, reason="no keys"), token, ["ev-fresh"]), "INST-09", "ev-token"
    )
    assert token_problems(token, make.jwks(), (TBOT,), make.bot(), ROLE) == []


def test_a_bot_that_was_never_created() -> None:
    finding = bot_has_role(make.token(), A_BOT, ROLE)
    violated(finding, "INST-10", evidence=("ev-token", "ev-absent-bot"), causes=("bot-missing",))
    assert finding.seen == "it is for the bot istio-tbot, which does not exist"
    assert finding.where == "Teleport token/istio-tbot-k8s-join"
    assert finding.showing("bot-missing") == finding.problems
    assert "tctl create -f manifests/teleport-bot.yaml" in remedy("bot-missing")
    for bot in (make.bot(), make.bot(roles=()), make.bot(name="other")):
        assert bot_has_role(make.token(), bot, ROLE).showing("bot-missing") == ()


def test_a_bot_without_the_role() -> None:
    finding = bot_has_role(make.token(), make.bot(roles=("other",)), ROLE)
    violated(finding, "INST-10", evidence=("ev-token", "ev-bot"), causes=("bot-without-role",))
    assert finding.seen == f"Teleport bot/istio-tbot: it has the roles other, not {ROLE}"
    assert f"tctl bots update istio-tbot --add-roles {ROLE}" in remedy("bot-without-role")


@pytest.mark.parametrize(("named", "words"), [("", "(none)"), ("other", "other")])
def test_a_token_that_does_not_name_the_bot_that_was_found(named: str, words: str) -> None:
    finding = bot_has_role(make.token(bot_name=named), make.bot(), ROLE)
    violated(finding, "INST-10", evidence=("ev-token", "ev-bot"), causes=())
    assert finding.seen == f"it is for the bot {words}, not for istio-tbot"


def test_everything_that_is_wrong_with_a_token_is_told_at_once() -> None:
    token = make.token(join_method="token", allow=("default:tbot",), jwks_text="PASTE_JWKS_HERE")
    causes = [found.cause for found in token_problems(token, make.jwks(), (TBOT,), A_BOT, ROLE)]
    assert causes == ["token-method-wrong", "token-other-service-account", "bot-missing", "jwks-placeholder"]


def test_a_bot_of_a_scope_cannot_have_the_role() -> None:
    finding = bot_has_role(make.token(), make.bot(scope="/staging", roles=()), make.ROLE)
    violated(finding, "INST-10", "belongs to the scope /staging", evidence=("ev-bot",), causes=("bot-scoped",))
    assert "spec.roles" in remedy("bot-scoped")


def test_tbots_of_several_service_accounts_may_share_a_token() -> None:
    pools = (TBOT, "teleport-system:tbot-b")
    holds(allows_only_tbot(make.token(allow=pools), *pools), "INST-10")
    words = "it allows teleport-system:tbot, and not teleport-system:tbot-b"
    violated(allows_only_tbot(make.token(), *pools), "INST-10", words, causes=("token-other-service-account",))
    wide = allows_only_tbot(make.token(allow=(*pools, "x:y")), *pools)
    violated(wide, "INST-10", "it also allows x:y", causes=("token-too-wide",))


def test_keys_of_the_cluster_before_a_change() -> None:
    """The cluster publishes the former key beside the next one; of another cluster's keys it has none."""
    former, following = make.public_key("former"), make.public_key("next", "another")
    token = make.token(jwks_text=json.dumps({"keys": [former]}))
    live = make.jwks(former, following)
    violated(holds_every_key(token, live), "INST-10", "it lacks the cluster's keys next", causes=("jwks-rotated-since",))
    unverified = make.signature(ok=False, key_id="next", reason="no key next")
    finding = fresh_token_verifies(unverified, token, ("ev-fresh",), live)
    violated(finding, "INST-09", "no key next", causes=("jwks-rotated-since",))
    violated(fresh_token_verifies(unverified, token, ("ev-fresh",)), "INST-09", causes=("jwks-of-other-keys",))
    violated(holds_every_key(token, make.jwks(following)), "INST-10", causes=("jwks-of-other-keys",))
