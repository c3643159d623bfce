"""The story of one pod: who issued its certificate, and at which step that went another way than wanted. Pure.

One line a step, in the order in which a pod comes to its certificate. Each function takes what its step needs, so that a
reading that fails costs only the lines that stand on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from facts.istio.istio_ca import IstioAuthorities
from facts.istio.mesh import Mesh
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SOCKET_VOLUME, TEMPLATES
from facts.provider.agents import Agents, SocketDirectories
from facts.provider.trust import TrustBundle
from facts.proxies.envoy import STREAMS
from facts.proxies.identity import ProxyIdentity
from facts.proxies.pushes import Pushes
from facts.proxies.sds_mode import SdsMode, SecretState
from facts.svid import is_signed_by, verify_chain, workload_id
from judge.findings import listed


@dataclass(frozen=True, slots=True)
class Line:
    """One step.

    Attributes:
        title: The step.
        said: What is so.
        wanted: What was wanted instead; empty where it is as wanted, or where nothing is wanted.
        settle: Of a step that could not be read: what would settle it.
    """

    title: str
    said: str
    wanted: str = ""
    settle: str = ""


def injection(pod: Pod, plane: Mesh | None) -> Line:
    """The control plane that injected the pod."""
    if not pod.is_injected:
        return Line("injection", "it has no istio-proxy", "an injected pod: the namespace or the pod asks for injection")
    return Line("injection", f"injected by {plane.title if plane else 'no control plane that the suite knows'}")


def template(pod: Pod, plane: Mesh, named: str) -> Line:
    """The injection template that mounts the socket, and whether the pod asks for it."""
    wanted = plane.socket_template(named)
    asked = pod.annotations.get(TEMPLATES, "")
    said = f"its annotation {TEMPLATES} is {asked or 'not set'}"
    if wanted not in plane.templates:
        return Line("template", said, f"a template {wanted} in the injector, which it has not")
    names = [name.strip() for name in asked.split(",")]
    # A template of the injector may be in force without being asked for; the volume then shows it.
    return Line("template", said, "" if wanted in names or pod.socket_on_node else f"{TEMPLATES} with {wanted}")


def mount(pod: Pod, directories: SocketDirectories) -> Line:
    """The volume in which the proxy looks for the socket."""
    volume, there = pod.spec.volume(SOCKET_VOLUME), directories.on(pod.node)
    wanted = f"a hostPath of {listed(there)}, where tbot listens"
    if volume is None:
        return Line("socket mount", f"it has no volume {SOCKET_VOLUME}", wanted)
    if volume.source == "csi":
        return Line("socket mount", f"{SOCKET_VOLUME} is of the CSI driver {volume.driver}")
    if volume.source != "hostPath":
        return Line("socket mount", f"{SOCKET_VOLUME} is an {volume.source}, so its proxy finds no socket", wanted)
    # Where the tbot of that directory runs on other nodes alone, the line about tbot says so.
    right = volume.path.rstrip("/") in {directory.rstrip("/") for directory in there | directories.everywhere}
    return Line("socket mount", f"{SOCKET_VOLUME} is the node's {volume.path}", "" if right else wanted)


def tbot_of(pod: Pod, tbots: Agents) -> Line:
    """The tbot that serves the pod, by the socket that it mounts; where that does not tell, each tbot of its node."""
    serving = tbots.serving(pod.node, pod.socket_on_node)
    there = [tbot.pods[pod.node] for tbot in serving if pod.node in tbot.pods]
    wanted = f"a Ready tbot pod on {pod.node or 'its node'}"
    if not there:
        of_them = f" of {listed(tbot.daemon_set.ref for tbot in serving)}" if len(tbots.each) > 1 and serving else ""
        return Line("tbot", f"no tbot pod{of_them} runs on {pod.node or 'no node'}", wanted)
    unready = [each for each in there if not each.ready]
    said = ", ".join(f"{each.ref} is {'not ' if each in unready else ''}Ready" for each in there)
    return Line("tbot", said, wanted if unready else "")


def mode(proxy: ProxyIdentity) -> Line:
    """The server of the proxy's secrets, with what decided it."""
    said = f"{proxy.sds_mode.told}: {'; '.join(proxy.decided_by)}"
    right = proxy.sds_mode is SdsMode.EXTERNAL
    return Line("SDS mode", said, "" if right else "the SDS server on the node's socket, found before the proxy started")


def issuer(proxy: ProxyIdentity, bundle: TrustBundle, istiod: IstioAuthorities) -> Line:
    """Who issued the certificate, by the chain and not by the name of the issuer."""
    wanted = f"Teleport's authority of {bundle.trust_domain}"
    if proxy.leaf is None:
        return Line("issuer", "it has no certificate", wanted)
    chain = verify_chain(proxy.leaf, bundle.authorities, proxy.read_at, proxy.intermediates)
    if chain.ok:
        return Line("issuer", f"Teleport issued its certificate, serial {proxy.leaf.serial}")
    if is_signed_by(proxy.leaf, istiod.authorities, proxy.intermediates):
        return Line("issuer", f"istiod issued its certificate, serial {proxy.leaf.serial}", wanted)
    return Line("issuer", f"{proxy.leaf.issuer or 'an authority without a name'} issued it: {chain.reason}", wanted)


def name(proxy: ProxyIdentity, trust_domain: str) -> Line:
    """The SPIFFE ID in the certificate."""
    own = workload_id(trust_domain, proxy.pod.namespace, proxy.pod.service_account)
    return Line("SPIFFE ID", listed(proxy.spiffe_ids), "" if proxy.spiffe_ids == (own,) else own)


def validity(proxy: ProxyIdentity) -> Line:
    """The validity of the certificate at the time of the reading."""
    leaf = proxy.leaf
    if leaf is None:
        return Line("validity", "it has no certificate", "a certificate that is valid now")
    left = (leaf.not_after - proxy.read_at).total_seconds()
    said = f"valid {leaf.not_before:%F %T} to {leaf.not_after:%F %T} UTC, {left:.0f} s left"
    return Line("validity", said, "" if leaf.is_valid_at(proxy.read_at) else "a certificate that is valid now")


def streams(proxy: ProxyIdentity) -> Line:
    """The streams over which new secrets come."""
    found = proxy.streams
    said = f"{found.rq_active} of {STREAMS} are live on {proxy.socket_path or 'no socket'}, {found.cx_connect_fail} failed"
    return Line("streams", said, "" if found.cx_active and found.rq_active >= STREAMS else f"{STREAMS} live streams")


def warming(proxy: ProxyIdentity) -> Line:
    """Secrets that Envoy waits for."""
    waits = proxy.secret_state is SecretState.WARMING
    return Line(
        "secrets in WARMING",
        "default: Envoy waits for it" if waits else f"none; default is {proxy.secret_state.value}",
        "an SDS server that supplies default" if waits else "",
    )


STATISTICS = "the annotation `sidecar.istio.io/statsInclusionPrefixes: sds` of the pod, after its next start"
"""What would make a proxy keep the statistics of its secrets."""


def refused(pushes: Pushes | None) -> Line:
    """Updates of the certificate that Envoy refused."""
    if pushes is None:
        return Line("refused updates", "this proxy keeps no statistics of its secrets", settle=STATISTICS)
    said = f"{pushes.rejected} of default"
    return Line("refused updates", said, "none: Envoy's log has the reason" if pushes.rejected else "")
