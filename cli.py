"""Manage a kept lab cluster, mend what a killed run left, ask who can talk to whom. To certify: `pytest features/`."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from checks.table import for_the_doctor
from doctor.advice import advice_of, only_one
from doctor.document import plain
from doctor.examination import examined
from doctor.migration import READS_TO_MOVE
from doctor.migration import migration as migration_advisor
from doctor.opened import READS, opened
from doctor.pod import must_have_namespace, pod_called, story_of
from doctor.rotation import rotation as rotation_advisor
from doctor.told import lines_of
from facts.errors import WHAT_TO_DO, BadInput, ConformanceError
from facts.kubernetes.objects import Pod
from facts.recorder import KeptInMemory, QuestionsKept
from judge.explain.place import Place, concerning
from judge.findings import listed
from judge.fleet import READ_AGAIN
from judge.mtls.answer import Answer, Says, answered
from judge.mtls.ends import Ends, MeshTls
from judge.mtls.pairs import Asked, table_of
from judge.mtls.table import NOTHING_DECLARED, Meant, counted
from observe.kubernetes.api import must_have_context
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.needed import Role
from observe.proxies.tls import read_ends
from observe.readings import of_each
from provision.certifier import manifest
from provision.clusters.sources import resolve, wants_bundle
from provision.installing.install import Installer
from provision.installing.phases import PhaseRecord
from provision.objects import is_scratch
from provision.plan import Plan, planned
from provision.runs.aftermath import cluster_removed, removed, undone
from provision.runs.undo import Line, State, exit_code
from provision.target import claim_of
from reporting.collecting.endings import told
from reporting.collecting.interruptions import as_ctrl_c
from reporting.features.reading import read_catalogue, safety_classes
from reporting.writing.printable import in_json, redacted, tellable
from reporting.writing.words import LOOKS
from settings import BadSettings, Settings, described, load

FEATURES = Path(__file__).parent / "features"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
recorder: KeptInMemory = QuestionsKept()


class Printer(Console):
    """A console that prints no secret and no control character, whatever text it is given, in a table as well."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Makes a text ready to be printed."""
        return super().render_str(tellable(text, recorder.hidden), **options)


console = Printer(highlight=False, markup=False)
errors = Printer(highlight=False, markup=False, stderr=True)

Name = Annotated[str | None, typer.Option("--kind-name", help="Name of the kind cluster.")]
Istio = Annotated[str | None, typer.Option(help="Istio version of the bundle: default or older.")]
Context = Annotated[str | None, typer.Option(help="Kubeconfig context of a cluster that stays.")]
Kubeconfig = Annotated[Path | None, typer.Option(help="Kubeconfig; if empty, $KUBECONFIG or ~/.kube/config.")]
Tctl = Annotated[str | None, typer.Option(help="tctl command with an admin session at Teleport.")]
Source = Annotated[str | None, typer.Option(help="Source of images: auto, upstream, mirror or bundle.")]


@app.command()
def up(
    *,
    kind_name: Name = None,
    source: Source = None,
    istio: Istio = None,
    nodes: Annotated[int | None, typer.Option(help="Nodes of the cluster.")] = None,
    install: Annotated[str | None, typer.Option(help="Manifests to install: recommended or as-guide.")] = None,
    repair: Annotated[str | None, typer.Option(help="Defects of the guide to repair, separated by commas.")] = None,
    wait_for_run: Annotated[float | None, typer.Option(help="Seconds to wait for a run that holds the cluster.")] = None,
) -> None:
    """Create a kind cluster with Istio, Teleport and tbot, and keep it."""
    settings = load(
        kind_name=kind_name, source=source, istio=istio, nodes=nodes, install=install, repairs=repair,
        wait_for_run=wait_for_run, keep=True, reuse=True,
    )  # fmt: skip
    run_id = f"up-{secrets.token_hex(3)}"
    claim = claim_of(settings, run_id, console.print)
    installer = Installer(settings, recorder, run_id, on_phase=_tell, claim=claim)
    console.print(f"{settings.kind_name}: {settings.nodes} nodes, images from {installer.sources.origin}")
    with installer:
        authority = installer.installation().authority
    if installer.lost:
        _complain(installer.lost)
        raise typer.Exit(6)
    trusted = "--teleport-insecure" if authority.insecure else f"--teleport-ca {authority.ca}" if authority.ca else ""
    words = ["pytest", "features/", "--reuse", "--kind-name", settings.kind_name, *installer.variant.options]
    console.print(f"\nThe cluster is up. Certify it with\n  {' '.join(words)}", soft_wrap=True)
    console.print("or certify it as an existing install, without an admin session:")
    console.print(
        f"  pytest features/ --cluster existing --kubeconfig {installer.kubeconfig} --context {installer.context} \\\n"
        f"    --teleport-proxy {authority.proxy} {trusted}".rstrip(),
        soft_wrap=True,
    )


@app.command()
def down(
    *,
    kind_name: Name = None,
    source: Source = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    tctl: Tctl = None,
    run: Annotated[str, typer.Option(help="With --context: id of the run.")] = "",
    all_runs: Annotated[bool, typer.Option("--all-runs", help="With --context: every run.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --context: remove it; without, it is only listed.")] = False,
) -> None:
    """Remove a kept cluster, its Teleport and its files; or, with --context, what runs left on a cluster that stays."""
    of_runs = bool(run or all_runs or yes or kubeconfig or tctl)
    if (of_runs and not context) or (context and (kind_name or bool(run) == all_runs)):
        raise BadInput(
            expected="--kind-name, or --context with one of --run and --all-runs",
            seen="another combination",
            where="the command line",
            remedy="conformance down --help",
        )
    if context:
        settings = load(cluster="existing", context=context, kubeconfig=kubeconfig, tctl=tctl)
        _tell_lines(removed(settings, run, yes=yes), "conformance down … --yes removes it")
    settings = load(kind_name=kind_name, source=source)
    cluster_removed(settings, recorder, console.print)
    console.print(f"{settings.kind_name} is gone")


@app.command()
def undo(
    *,
    context: Annotated[str, typer.Option(help="Kubeconfig context of the cluster.")],
    kubeconfig: Kubeconfig = None,
    tctl: Tctl = None,
    yes: Annotated[bool, typer.Option("--yes", help="Restore it; without, it is only listed.")] = False,
) -> None:
    """List what a run that was killed changed on a cluster and did not put back, or restore it."""
    settings = load(cluster="existing", context=context, kubeconfig=kubeconfig, tctl=tctl)
    _tell_lines(undone(settings, recorder, yes=yes), "conformance undo … --yes restores it")


_LOOKED_LIKE = {State.DONE: "pass", State.LEFT: "fail", State.OTHERS: "error", State.UNKNOWN: "not-evaluated"}
"""The word whose mark stands for what became of something."""


def _tell_lines(lines: list[Line], way_on: str) -> NoReturn:
    """Print what runs left and what became of it, and exit with 0, 1 or 6."""
    for line in lines:
        mark, _ = LOOKS[_LOOKED_LIKE[line.state]]
        # Part of it was written by others: their line breaks must make no line that looks like one of the suite.
        console.print(f"{mark} {line.text}".replace("\n", "\n  "), soft_wrap=True)
    code = exit_code(lines)
    left = sum(line.state is not State.DONE for line in lines)
    console.print(f"{left} of {len(lines)} left; {way_on}" if left else "nothing is left", soft_wrap=True)
    raise typer.Exit(code)


@app.command()
def handshakes(
    *,
    context: Annotated[str, typer.Option(help="Kubeconfig context of the cluster.")],
    kubeconfig: Kubeconfig = None,
    client: Annotated[str, typer.Option("--from", metavar="NAMESPACE/POD", help="The client; if empty, every proxy.")] = "",
    server: Annotated[str, typer.Option("--to", metavar="NAMESPACE/POD", help="The server; if empty, every proxy.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print all that was predicted as one JSON document.")] = False,
) -> None:
    """Predict from the proxies' own configuration who can talk to whom, and which side refuses and why. Read-only.

    Exit codes: 0 they can, 1 they cannot, 4 bad input, 6 not determined.
    """
    settings = load(cluster="existing", context=context, kubeconfig=kubeconfig)
    answer = _asked(settings, client, server)
    if as_json:
        _write_json(TypeAdapter(Answer).dump_python(answer, mode="json"))
    else:
        _tell_answer(answer)
    raise typer.Exit(answer.exit_code)


def _write_json(plain: Any) -> None:
    """Write plain data as the one JSON document of standard output, without secrets and printable."""
    document = json.dumps(redacted(plain, recorder.hidden), indent=1, ensure_ascii=False)
    sys.stdout.write(f"{in_json(document)}\n")


def _asked(settings: Settings, client: str, server: str) -> Answer:
    """Read the proxies that a question is about, and answer it."""
    must_have_context(settings.kubeconfig, settings.context)
    cluster = Cluster(settings.kubeconfig, settings.context, recorder, settings.patience, settings.sizes)
    try:
        cluster.api.must_answer()
        pods = [pod for pod in cluster.pods() if not (pod.terminating or pod.has_ended)]
        proxies = {f"{pod.namespace}/{pod.name}": pod for pod in pods if pod.is_injected and pod.node}
        named = {name: _proxy_of(proxies, name, option) for option, name in (("--from", client), ("--to", server)) if name}
        read = list((named if client and server else proxies).values())
        identities, tls = read_ends(cluster, read)
    finally:
        cluster.close()
    found = Ends(MeshTls(pods, identities, tls, of_each(pods)))
    of_client, of_server = (frozenset({named[name].uid} if name else ()) for name in (client, server))
    # Who asks about two pods wants to know, whatever is declared of their namespaces.
    declared = NOTHING_DECLARED if client and server else _meant(settings, pods)
    return answered(found, table_of(found, declared, asked=Asked(of_client, of_server)))


def _meant(settings: Settings, pods: Sequence[Pod]) -> Meant:
    return Meant.of(settings.mesh.islands, settings.mesh.plain_text, {pod.namespace for pod in pods})


SHOWN = 10
"""Pods that an error lists."""


def _proxy_of(proxies: Mapping[str, Pod], name: str, option: str) -> Pod:
    """Return the pod of a name.

    Raises:
        BadInput: No pod with an istio-proxy has it.
    """
    if name not in proxies:
        namespace = name.partition("/")[0]
        there = listed(sorted(n for n in proxies if n.startswith(f"{namespace}/"))[:SHOWN], "one of another namespace")
        raise BadInput(
            expected=f"NAMESPACE/POD of a running pod with an istio-proxy, such as {there}",
            seen=name,
            where=option,
            remedy="kubectl get pods --all-namespaces",
        )
    return proxies[name]


def _tell_answer(answer: Answer) -> None:
    """Print an answer for a person: what is refused and why, what to do about each cause, and the answer itself."""
    for each in (*answer.refused, *answer.unread):
        mark, _ = LOOKS["fail" if each in answer.refused else "not-evaluated"]
        console.print(f"{mark} {each.subject}: {each.said}", soft_wrap=True)
    for gone in answer.gone:
        console.print(f"{LOOKS['not-evaluated'][0]} {gone.subject}: {gone.said}", soft_wrap=True)
    for cause in answer.causes:
        console.print(f"\n{cause.id}: {cause.sentence}\n{WHAT_TO_DO}:", soft_wrap=True)
        for step in cause.remedy:
            console.print(f"  - {step}", soft_wrap=True)
    for kind, number in answer.handshakes.not_predictable.items():
        console.print(f"{LOOKS['not-evaluated'][0]} {counted(number)}: no reading decides ways to {kind}", soft_wrap=True)
    refused = sum(pair.ways for pair in answer.handshakes.pairs if pair.refused_by)
    said = f"{counted(answer.completed)} with mutual TLS, {counted(answer.plain)} in plain text, {counted(refused)} refused"
    console.print(f"{answer.says.value}: {said}")
    if answer.says is Says.UNKNOWN and answer.gone:
        console.print(f"a proxy went away before its answer was complete; {READ_AGAIN}", soft_wrap=True)
    elif answer.says is Says.UNKNOWN and not answer.unread:
        console.print("no Service whose endpoints istiod tells leads from such a client to such a server", soft_wrap=True)


@app.command()
def doctor(
    *,
    context: Annotated[str, typer.Option(help="Kubeconfig context of the cluster.")],
    kubeconfig: Kubeconfig = None,
    allow: Annotated[str, typer.Option(help="namespaced: probe pods on the nodes may tell causes apart.")] = "",
    tctl: Tctl = None,
    teleport_proxy: Annotated[str | None, typer.Option(help="HOST:PORT of the Teleport that you expect.")] = None,
    teleport_ca: Annotated[Path | None, typer.Option(help="PEM file with the CA of Teleport's proxy.")] = None,
    pod: Annotated[str, typer.Option(metavar="NAMESPACE/NAME", help="Tell who issued the certificate of this pod.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Name the causes that concern it alone.")] = "",
    rotation: Annotated[
        bool, typer.Option("--rotation", help="Tell whether the next phase of a CA rotation may begin.")
    ] = False,
    migration: Annotated[
        bool, typer.Option("--migration", help="Tell in which order to move workloads to Teleport.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one JSON document.")] = False,
) -> None:
    """Name the cause of a broken mesh, what shows it, and what to do. Read-only without --allow.

    Exit codes: 0 nothing found, 1 a cause was named, 4 bad input, 6 not determined or not all could be read.
    With --rotation: 0 nothing lags, 1 something stands against the next phase.
    With --migration: 0 there is nothing to move, 1 there is something.
    """
    chosen = {"--rotation": rotation_advisor} if rotation else {}
    chosen |= {"--migration": migration_advisor} if migration else {}
    advisor = only_one(chosen, {"--pod": pod, "--namespace": namespace, "--allow": allow})
    settings = load(
        cluster="existing", context=context, kubeconfig=kubeconfig, allow=allow, tctl=tctl,
        teleport_proxy=teleport_proxy, teleport_ca=teleport_ca,
    )  # fmt: skip
    requirements = read_catalogue(FEATURES).requirements
    run_id = f"doctor-{secrets.token_hex(3)}"
    reads = READS_TO_MOVE if migration else READS
    with opened(settings, recorder, run_id, is_scratch=is_scratch, say=errors.print, reads=reads) as patient:
        if advisor is not None:
            advice = advice_of(advisor, patient)
            _tell_doctor(advice.lines, advice.document, as_json=as_json)
            raise typer.Exit(advice.exit_code)
        asked = pod_called(patient.case, pod) if pod else None
        must_have_namespace(patient.case, namespace)
        diagnosis = examined(
            patient.case, for_the_doctor(), requirements, recorder, authority=patient.authority, requests=patient.requests
        )
        story = story_of(patient.case, asked) if asked else None
        if story is not None:
            diagnosis = concerning(diagnosis, Place.of_pod(story.pod, diagnosis.realms))
        elif namespace:
            diagnosis = concerning(diagnosis, Place.of_namespace(namespace, diagnosis.realms))
        # Before the clean-up, which may fail.
        _tell_doctor(lines_of(diagnosis, story), plain(diagnosis, story), as_json=as_json)
    raise typer.Exit(diagnosis.exit_code)


def _tell_doctor(lines: Iterable[str], document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print an answer of the doctor."""
    if as_json:
        _write_json(document)
        return
    for line in lines:
        # Part of it was written by others: their line breaks must make no line that looks like one of the suite.
        console.print(line.replace("\n", "\n        "), soft_wrap=True)


@app.command()
def images(source: Source = None, istio: Istio = None) -> None:
    """Show the source of each image and binary."""
    sources = resolve(load(source=source, istio=istio))
    table = Table("component", "comes from", box=None)
    for field in sources.__dataclass_fields__:
        value = getattr(sources, field)
        if value not in ("", None):
            table.add_row(field.replace("_", " "), str(value))
    console.print(table)


@app.command(hidden=True)
def wants_lab(source: Source = None) -> None:
    """Print yes if a run would use the bundle of the lab, else no; `make` asks this before it builds."""
    console.print("yes" if wants_bundle(load(source=source)) else "no")


@app.command()
def plan(
    profile: Annotated[str, typer.Option(help="Profiles, separated by commas.")] = "core",
    cluster: Annotated[str | None, typer.Option(help="kind or existing.")] = None,
    allow: Annotated[str, typer.Option(help="Safety classes to allow on an existing cluster: namespaced, disruptive.")] = "",
) -> None:
    """Show what a run would certify, and what it would do to the cluster: rights, pods, disruptions, time."""
    settings = load(profiles=profile, allow=allow, cluster=cluster or ("existing" if allow else None))
    catalogue = read_catalogue(FEATURES)
    chosen = catalogue.chosen(settings.profiles)
    classes = safety_classes(FEATURES)
    safety = {requirement.id: classes.get(requirement.id, frozenset()) for requirement in chosen}
    made = planned(safety, {requirement.profile for requirement in chosen}, settings.allowed_safety)
    table = Table("requirement", "level", "profile", "what must hold", "needs", box=None)
    for requirement in chosen:
        table.add_row(
            requirement.id, requirement.level.value, requirement.profile, requirement.sentence, made.needs[requirement.id]
        )
    console.print(table)
    for need, left_out in catalogue.left_out(settings.profiles).items():
        console.print(f"Left out of core: {', '.join(left_out)} (they need {need})", soft_wrap=True)
    _show(made, settings)


def _show(made: Plan, settings: Settings) -> None:
    """Print what a run would do to the cluster."""
    if settings.cluster == "kind":
        console.print(
            "\nRights: those of an administrator, on a kind cluster that the suite makes and removes.", soft_wrap=True
        )
    else:
        rights = Table("role", "right at the API server", "where", "what for", box=None)
        for row in made.rights:
            rights.add_row(row.role, row.shown(), row.place(), row.why)
        for at_teleport in made.rights_at_teleport:
            words = f"{', '.join(at_teleport.verbs)} {', '.join(at_teleport.resources)}"
            rights.add_row(at_teleport.role, words, "Teleport, with --tctl", at_teleport.why)
        console.print("\nRights, which INST-02 asks for except `exec`, an optional role (`conformance rights` prints them):")
        console.print(rights)
    pods = Table("pods of the suite", "how many", "for", "more than an ordinary pod", box=None)
    for pod in made.pods:
        needing = [requirement for requirement in pod.requirements if requirement in made.needs]
        pods.add_row(pod.manifest.stem, pod.number, ", ".join(needing), ", ".join(pod.privileges(settings.names)))
    if made.copies_tbot:
        pods.add_row("copy of tbot's own pod", "one", "NEG-06", "")
    console.print("\nPods, in namespaces of the suite:" if pods.row_count else "\nPods: none; the run creates nothing.")
    if pods.row_count:
        console.print(pods)
        image = settings.workload_image or "the source's own, by tag: set `workload_image` to pin one by digest"
        console.print(f"Image of those with a program of the suite: {image}", soft_wrap=True)
    console.print("\nBeyond its own namespaces:" if made.disrupts else "\nBeyond its own namespaces: nothing.")
    for profile, words in made.disrupts.items():
        console.print(f"  {profile}: {words}", soft_wrap=True)
    console.print(
        f"\nTime: {made.seconds} s, measured on a ready cluster of the lab with everything allowed. With less allowed it is"
        " less; more proxies take longer (50 were read in 1.4 s).",
        soft_wrap=True,
    )


@app.command()
def rights(
    allow: Annotated[str, typer.Option(help="Safety classes to bind besides read-only: namespaced, disruptive.")] = "",
    *,
    execute: Annotated[bool, typer.Option("--exec", help="Also bind the optional role for ID-12 and CHK-8.")] = False,
) -> None:
    """Print roles and a service account for the identity that certifies, with the namespaces in the settings."""
    settings = load(allow=allow, cluster="existing")
    bound = {Role(name) for name in settings.allowed_safety} | ({Role.EXEC} if execute else set())
    sys.stdout.write(manifest(settings.names, bound))


@app.command()
def options() -> None:
    """List every setting with its default and its meaning."""
    table = Table("setting", "default", "meaning", box=None)
    for name, default, meaning in described(Settings):
        table.add_row(name, default, meaning)
    console.print(table)


def _tell(phase: PhaseRecord) -> None:
    mark, _ = LOOKS["fail" if not phase.ok else "skipped" if phase.message else "pass"]
    console.print(f"  {mark} {phase.name:<10} {phase.seconds:6.1f} s  {phase.message}".rstrip(), soft_wrap=True)


_INTERRUPTED = 130
"""Typer's own exit code for Ctrl-C; pytest, and so this suite, has 2."""


def main() -> None:
    """Runs the command; an error that the user can correct ends in one sentence, not in a traceback.

    Exit codes are the suite's: 2 interrupted, 4 wrong usage, 6 any other error.
    """
    try:
        with as_ctrl_c():  # what the command holds of a cluster is released
            code = app(standalone_mode=False)
    except TyperException as error:
        _complain(_usage(error))
        sys.exit(4)
    except (ConformanceError, BadSettings) as error:
        _complain(str(error))
        sys.exit(4 if isinstance(error, BadInput | BadSettings) else 6)
    except Exception as error:
        _complain(f"expected the command to do its work; saw a defect in the suite: {told(error)}\nWhat to do: report it")
        sys.exit(6)
    sys.exit(2 if code == _INTERRUPTED else code)


def _complain(what: str) -> None:
    if what:
        errors.print(f"{LOOKS['error'][0]} {what}", style="bold", soft_wrap=True)


def _usage(error: TyperException) -> str:
    """What is wrong with the command line; empty where Typer has printed the help instead."""
    wrong = str(getattr(error, "format_message", error.__str__)())
    context = getattr(error, "ctx", None)
    return f"{wrong} What to do: {context.command_path if context else 'conformance'} --help" if wrong.strip() else ""


if __name__ == "__main__":
    main()
