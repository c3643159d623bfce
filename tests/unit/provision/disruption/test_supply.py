"""Which pods live from the socket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SOCKET_VOLUME, Volume
from provision.disruption.supply import uses_the_socket
from tests.unit.judge import builders as make

SIDECAR = make.pod()


@pytest.mark.parametrize(
    ("pod", "uses"),
    [
        pytest.param(SIDECAR, True, id="a sidecar"),
        pytest.param(make.pod(socket=Volume(SOCKET_VOLUME, "csi", driver="csi.spiffe.io")), True, id="by the CSI driver"),
        pytest.param(make.pod(socket=Volume(SOCKET_VOLUME, "csi", driver="csi.example")), True, id="by another CSI driver"),
        pytest.param(make.pod(socket=Volume("data", "csi", driver="csi.example")), False, id="with a CSI volume elsewhere"),
        pytest.param(make.pod(socket=None), False, id="without a socket"),
        pytest.param(make.pod(injected=False), False, id="without a proxy"),
        pytest.param(replace(SIDECAR, terminating=True), False, id="on its way out"),
        pytest.param(replace(SIDECAR, phase="Succeeded"), False, id="that ran to its end"),
    ],
)
def test_who_is_to_take_its_secrets_from_the_socket(pod: Pod, uses: bool) -> None:
    assert uses_the_socket(pod) is uses
