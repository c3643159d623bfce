"""Steps of features/1_install/3_teleport.feature: INST-09 to INST-12, and INST-17."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from facts.document import Absent
from facts.kubernetes.jwks import Signature
from observe.install import Install
from providers.teleport.facts.issuing import Identities
from providers.teleport.facts.resources import JoinToken
from providers.teleport.judge import issuing
from steps.shared import Conclude

Tokens = tuple[JoinToken | Absent, ...]
"""The join tokens of the tbots that join by the method kubernetes, each once."""

FreshTokens = tuple[tuple[Signature, tuple[str, ...]], ...]
"""For each of `Tokens` whether its JWKS verifies a new token, and the readings that show it."""


@given("the workload identities that tbot issues to the mesh", target_fixture="identities")
def identities_of_the_mesh(install: Install) -> Identities:
    return install.teleport.identities()


@then(parsers.parse('each SPIFFE ID template must be "{template}"'))
def templates_are_istios(template: str, identities: Identities, conclude: Conclude) -> None:
    conclude(issuing.id_templates_are_istios(identities, template))
