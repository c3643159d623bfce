"""How long it takes to predict who can shake hands with whom in a large mesh: ``python -m tests.bench.handshakes``.

The mesh is made up in memory, so that only the judgment is timed. Each class of proxies is a namespace of its own, whose
proxies hold certificates and authorities that no other class has; each proxy has a certificate of its own, and a way to
every pod of the mesh. The answers of one proxy are timed apart: from the text that Envoy would write to facts, without the
network. They are built and not captured.

Prints one JSON document: seconds of the judgment and of the processor; the most memory that the process ever held, in MiB,
before and after it; and for one proxy the bytes of a cluster with one endpoint, and the seconds of its answers.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import typer

from facts.document import decoded
from facts.evidence import ObjectRef, evidence_of
from facts.kubernetes.objects import Pod
from facts.proxies.identity import Fleet, PodRef, ProxyIdentity
from facts.proxies.tls.inbound import Listener, parse_listeners
from facts.proxies.tls.outbound import Cluster, Destination, Endpoint, joined, parse_clusters, parse_endpoints
from facts.proxies.tls.proxy import ProxyTls, TlsOfFleet
from facts.proxies.tls.questions import parts
from facts.svid import workload_id
from judge.mtls.contexts import TrustDomains, secrets_are_the_providers
from judge.mtls.ends import Ends, MeshTls
from judge.mtls.handshakes import handshakes_complete
from judge.mtls.pairs import table_of
from judge.mtls.plain_text import no_port_takes_plain_text, nothing_is_sent_in_plain_text
from judge.mtls.told import told
from observe.proxies.tls import Shared
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, authority, svid

PORT = 8080


def mesh(proxies: int, classes: int, services: int, *, alike: bool) -> MeshTls:
    """A mesh of so many proxies, with so many services over them, in so many classes.

    Args:
        proxies: Number of proxies.
        classes: Number of classes.
        services: Number of services; each leads to the pods whose number leaves its own as the remainder.
        alike: The proxies of a class have the same destinations; otherwise no two proxies of the mesh have.
    """
    pods = [_pod(number, number % classes) for number in range(proxies)]
    shared = Shared()
    everywhere = [_destination(service, pods[service::services], shared) for service in range(services)]
    listeners: tuple[Listener, ...] = parse_listeners(built.virtual_inbound(built.permissive(), built.permissive(PORT)))
    views = {of: tuple(everywhere) for of in range(classes)}
    tls = [
        ProxyTls(PodRef.of(pod), listeners, views[n % classes] if alike else tuple(everywhere), (f"ev-tls-{n}",))
        for n, pod in enumerate(pods)
    ]
    identities = tuple(_identity(pod, n, n % classes) for n, pod in enumerate(pods))
    return MeshTls(pods, Fleet(identities, ()), TlsOfFleet(tuple(tls), ()), ("ev-pods",))


def _pod(number: int, of: int) -> Pod:
    pod = make.pod(f"pod-{number}", namespace=f"ns-{of}", service_account=f"sa-{of}", owner=f"ReplicaSet/app-{of}")
    app = make.container("app", tcp_ports=(PORT,))
    return replace(
        pod,
        ip=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        spec=replace(pod.spec, containers=(*pod.containers[:1], app)),
    )


def _identity(pod: Pod, number: int, of: int) -> ProxyIdentity:
    # Half of the classes trust all authorities that there are, the others only their own.
    own = authority(f"authority-{of}")
    trusted = tuple(authority(f"authority-{n}") for n in range(of + 1)) if of % 2 else (own,)
    # Certificates are kept by what they are made of; the time makes each proxy's its own.
    starts = NOW - timedelta(seconds=600 + number)
    leaf = svid(pod.namespace, pod.service_account, issuer=f"authority-{of}", starts=starts, minutes=600)
    return make.proxy(pod, chain=(leaf,), root_authorities={TRUST_DOMAIN: trusted})


def _destination(service: int, pods: list[Pod], shared: Shared) -> Destination:
    host = f"svc-{service}.ns-{service % 40}.svc.cluster.local"
    accounts = sorted({workload_id(TRUST_DOMAIN, p.namespace, p.service_account) for p in pods})
    (made,) = joined(
        parse_clusters(built.dump(built.auto_mutual(host, 80, accounts))),
        parse_endpoints(built.dump(built.endpoints(host, 80, *(built.endpoint(p.ip, PORT) for p in pods)))),
        shared,
    )
    return made


def answers(services: int) -> tuple[float, float]:
    """Bytes of a cluster with one endpoint, and seconds from the texts of one proxy's answers to its destinations."""
    hosts = [f"svc-{number}.ns-{number % 40}.svc.cluster.local" for number in range(services)]
    named = [f"outbound|80||{host}" for host in hosts]
    account = workload_id(TRUST_DOMAIN, "some-namespace", "some-account")
    texts = []
    for part in parts(named):
        some = [host for name, host in zip(named, hosts, strict=True) if built.pattern(part.clusters).fullmatch(name)]
        clusters = built.dump(*(built.auto_mutual(host, 80, [account]) for host in some))
        endpoints = built.dump(*(built.endpoints(host, 80, built.endpoint("10.0.0.1", PORT)) for host in some))
        # As Envoy writes JSON: each field in a line of its own, indented by one.
        texts.append((json.dumps(clusters, indent=1), json.dumps(endpoints, indent=1)))
    began = time.monotonic()
    clusters_read: list[Cluster] = []
    endpoints_read: dict[str, tuple[Endpoint, ...]] = {}
    for of_clusters, of_endpoints in texts:
        clusters_read += parse_clusters(_recorded(of_clusters, parse_clusters))
        endpoints_read |= parse_endpoints(_recorded(of_endpoints, parse_endpoints))
    made = joined(tuple(clusters_read), endpoints_read)
    taken = time.monotonic() - began
    if len(made) != services:
        raise RuntimeError(f"{len(made)} destinations of {services} services")
    return sum(len(text) for pair in texts for text in pair) / services, taken


def _recorded(text: str, parser: Callable[..., object]) -> object:
    """An answer as the reader records it and hands it to its parser."""
    return decoded(evidence_of("", ObjectRef("Pod", "a"), text, read_at=NOW, parser=parser).body)


def main(
    proxies: Annotated[int, typer.Option(help="Proxies of the mesh.")] = 2000,
    classes: Annotated[int, typer.Option(help="Classes of proxies.")] = 40,
    services: Annotated[int, typer.Option(help="Services of the mesh.")] = 300,
    alike: Annotated[bool, typer.Option(help="The proxies of a class have the same destinations.")] = True,
) -> None:
    """Times the judgments of a mesh that is made up."""
    made = mesh(proxies, classes, services, alike=alike)
    before = _memory()
    began, worked = time.monotonic(), time.process_time()
    ends = Ends(made)
    classified = time.monotonic() - began
    table = table_of(ends)
    findings = [
        secrets_are_the_providers(ends, TrustDomains((TRUST_DOMAIN,), ())),
        no_port_takes_plain_text(ends),
        nothing_is_sent_in_plain_text(ends, table),
        handshakes_complete(ends, table),
    ]
    section = told(ends, table)
    seconds, processor = time.monotonic() - began, time.process_time() - worked
    memory = _memory()
    bytes_of_a_cluster, seconds_of_answers = answers(services)
    print(
        json.dumps(
            {
                "proxies": proxies,
                "classes": len(section.classes),
                "services": services,
                "alike": alike,
                "ways": table.ways,
                "rows": len(table.rows),
                "seconds": round(seconds, 2),
                "seconds_of_classes": round(classified, 2),
                "processor": round(processor, 2),
                "memory_before": before,
                "memory": memory,
                "bytes_of_a_cluster": round(bytes_of_a_cluster),
                "seconds_of_answers": round(seconds_of_answers, 3),
                "findings": {finding.requirement: finding.holds.value for finding in findings},
            }
        )
    )


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    typer.run(main)
