"""Options, root fixtures and wiring: gives the recorder to the readers and the readers to the steps. Nothing else."""

from __future__ import annotations

import contextlib
import sys
import tomllib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from checks.identity import why_rules_refuse
from checks.realms import realms_of
from facts.catalogue import Need
from facts.doctor.answer import Way
from facts.errors import WHAT_TO_DO, BadInput, ConformanceError, CouldNotTell
from facts.kubernetes.leases import disturbed_by
from judge.doctor import ToldRow
from judge.mtls.told import Handshakes
from observe.checkout import revision
from observe.install import Install
from observe.istio.facet import CONTROL_PLANES
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.facet import NODES, PODS, VERSION
from observe.opened import open_install
from observe.proxies.facet import FLEET
from observe.tools import Tools
from observe.wait import Pace
from providers.teleport.observe.facet import BOT_INSTANCES
from providers.teleport.observe.session import TeleportAddress
from providers.teleport.observe.tbot_facet import TBOT
from provision.clusters.directory import kept_kubeconfig
from provision.disruption.lifetimes import ShortLived
from provision.installing.install import PARTS, Installer
from provision.installing.phases import STOPPED, PhaseRecord
from provision.objects import is_scratch
from provision.pods.clients_and_servers import TEST_PODS, MeshNames, TestPod, TestPods, long_running_in
from provision.pods.membership import join
from provision.pods.probes import Probes
from provision.runs.claim import Claim, Ways
from provision.target import LastLook, Target, already_there, claim_of, fence, made_here, take_if_there, ways_of
from provision.usable import must_be_usable
from reporting.assemble import RunPlan
from reporting.collecting.collector import Collector
from reporting.collecting.progress import Progress
from reporting.collecting.run_facts import run_facts, silent_parts
from reporting.collecting.store import Bookmark, Store
from reporting.features.reading import judged_by_reading, read_catalogue
from reporting.model import Phase, Scope
from reporting.waivers import waivers
from settings import BadSettings, Settings, defaults, load

ROOT = Path(__file__).parent
FEATURES = ROOT / "features"
COLLECTOR = pytest.StashKey[Collector]()
SETTINGS = pytest.StashKey[Settings]()
CLAIM = pytest.StashKey[Claim | None]()
PROFILES = pytest.StashKey[frozenset[str]]()
LATER = pytest.StashKey[list[tuple[Bookmark, LastLook]]]()

pytest_plugins = [
    "steps.shared",
    "steps.bound",
    "steps.install.istio",
    "steps.install.teleport",
    "steps.checklist",
    "steps.identity.proxies",
    "steps.identity.negative",
    "steps.mtls",
    "steps.traffic",
    "steps.trial",
    "steps.rotation.renewal",
    "steps.rotation.ca_rotation",
    "steps.resilience.sources",
    "steps.resilience.nodes",
    "steps.hygiene",
    "steps.diagnosis",
]

# Option, and its name in Settings, which has the sentence on it and checks the value; True for one without a value.
OPTIONS: tuple[tuple[str, str, bool], ...] = (
    ("--cluster", "cluster", False),
    ("--context", "context", False),
    ("--kubeconfig", "kubeconfig", False),
    ("--kind-name", "kind_name", False),
    ("--nodes", "nodes", False),
    ("--keep", "keep", True),
    ("--reuse", "reuse", True),
    ("--source", "source", False),
    ("--registry", "registry", False),
    ("--istio", "istio", False),
    ("--install", "install", False),
    ("--repair", "repairs", False),
    ("--trust-domain", "trust_domain", False),
    ("--tctl", "tctl", False),
    ("--teleport-proxy", "teleport_proxy", False),
    ("--teleport-ca", "teleport_ca", False),
    ("--trust-bundle", "trust_bundle", False),
    ("--teleport-insecure", "teleport_insecure", True),
    ("--audit-events", "audit_events", False),
    ("--profile", "profiles", False),
    ("--allow", "allow", False),
    ("--observe", "observe", False),
    ("--expiry-warning", "expiry_warning", False),
    ("--must", "must", False),
    ("--strict-findings", "strict", True),
    ("--allow-partial", "allow_partial", True),
    ("--reports", "reports", False),
    ("--run-id", "run_id", False),
    ("--wait-for-run", "wait_for_run", False),
    ("--timeout-scale", "timeout_scale", False),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option for each setting that a run is likely to change."""
    group = parser.getgroup("conformance", "Istio with Teleport Workload Identity")
    for option, field, flag in OPTIONS:
        action = "store_true" if flag else "store"
        sentence = Settings.model_fields[field].description
        group.addoption(option, dest=f"conformance_{field}", action=action, default=None, help=sentence)


def pytest_configure(config: pytest.Config) -> None:
    """Reads the settings and registers the collector, which refuses unusable ones with a report that says why."""
    given = {field: config.getoption(f"conformance_{field}") for _, field, _ in OPTIONS}
    try:
        catalogue = read_catalogue(FEATURES)
    except BadInput as error:
        raise pytest.UsageError(str(error)) from error
    try:
        settings, refusal = load(**given), ""
        profiles = frozenset(r.profile for r in catalogue.chosen(settings.profiles))
        catalogue = catalogue.raised(settings.must)
        waived = waivers(settings.waivers, catalogue, datetime.now(UTC).date())
        must_be_usable(settings)
    except (BadSettings, BadInput) as error:
        settings, refusal, waived, profiles = defaults(**given), str(error), {}, frozenset()
    plan = RunPlan(
        catalogue=catalogue,
        profiles=settings.profiles,
        allowed_safety=settings.allowed_safety,
        reports_dir=settings.reports,
        suite_version=tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        revision=revision(ROOT),
        scope=_scope(settings, refusal),
        command_line=("pytest", *config.invocation_params.args),
        strict=settings.strict,
        allow_partial=settings.allow_partial,
        waivers=waived,
        features=FEATURES,
        run_id=settings.run_id,
        refusal=refusal,
    )
    config.stash[SETTINGS] = settings
    config.stash[LATER] = []
    config.stash[PROFILES] = profiles
    config.stash[COLLECTOR] = collector = Collector(plan, partial(_admit, config))
    config.stash[CLAIM] = claim = None if refusal else claim_of(settings, collector.run_id, partial(_say, config))
    if claim is not None:
        config.add_cleanup(partial(_let_go, claim, collector.recorder))  # where the fixture `cluster` did not come to it
    config.pluginmanager.register(collector)


def _admit(config: pytest.Config) -> None:
    """Takes the hold on a cluster that is already there, before anything is changed.

    Raises:
        BadInput: Another run may change it, or an earlier one left something.
    """
    claim = config.stash[CLAIM]
    if claim is not None:
        take_if_there(claim, config.stash[SETTINGS])


def _say(config: pytest.Config, words: str) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.write_line(config.stash[COLLECTOR].recorder.told(words))  # a Lease has words of others


def _let_go(claim: Claim, recorder: Store) -> None:
    if wrong := claim.release():
        sys.stderr.write(f"{recorder.told(wrong)}\n")


def _scope(settings: Settings, refusal: str) -> Scope:
    if refusal:
        return Scope(cluster="none", context=settings.context)
    if settings.cluster == "existing":
        return Scope(cluster="existing", context=settings.context)
    return Scope(_kind_of_cluster(settings), settings.context, settings.install, settings.repairs)


def _kind_of_cluster(settings: Settings) -> str:
    kept = settings.cluster == "kind" and settings.reuse and kept_kubeconfig(settings) is not None
    return "kept" if kept else settings.cluster


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Ends the run if the cluster cannot be reached or is another run's, so that one error says it, not every scenario."""
    try:
        return (yield)
    except ConformanceError as error:
        if fixturedef.argname in ("target", "cluster"):
            collector = request.config.stash[COLLECTOR]
            end = collector.refuse if isinstance(error, BadInput) else collector.end
            end(request.session, str(error))
        raise


@pytest.fixture(scope="session")
def settings(pytestconfig: pytest.Config) -> Settings:
    """The settings of this run."""
    return pytestconfig.stash[SETTINGS]


@pytest.fixture(scope="session")
def recorder(pytestconfig: pytest.Config) -> Store:
    """The store of readings and findings."""
    return pytestconfig.stash[COLLECTOR].recorder


@pytest.fixture(scope="session")
def note_handshakes(recorder: Store) -> Callable[[Handshakes], None]:
    """Puts the predicted handshakes of the mesh into the report."""
    return recorder.note_handshakes


@pytest.fixture(scope="session")
def note_diagnosis(recorder: Store) -> Callable[[ToldRow], None]:
    """Puts the doctor's answers to a state of the install into the report."""
    return recorder.note_diagnosis


@pytest.fixture(scope="session")
def lend(pytestconfig: pytest.Config) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Lends the run's Lease to the doctor, which looks whether a run may change the cluster, or takes the Lease itself."""
    claim = pytestconfig.stash[CLAIM]
    return contextlib.nullcontext if claim is None else claim.lent


@pytest.fixture(scope="session")
def shown_to() -> Mapping[Way, frozenset[str]]:
    """Requirements that each way of asking the doctor which only reads could judge."""
    return {
        Way.READER: judged_by_reading(FEATURES),
        Way.SESSION: judged_by_reading(FEATURES, {Need.SESSION}),
    }


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, settings: Settings, recorder: Store) -> Iterator[Target]:
    """The judged install: made and removed by the suite, or an existing one."""
    collector = request.config.stash[COLLECTOR]
    run_id = collector.run_id
    claim = request.config.stash[CLAIM]
    may_change = fence(claim, partial(collector.end, request.session))
    if settings.cluster == "existing":
        found = already_there(settings, run_id, may_change)
        yield found
        if claim is not None and (wrong := claim.release()):
            recorder.run_error(wrong)
        _await_departures(found, settings)
        _take_last_looks(request.config, found, recorder)
        return

    def ended(phase: PhaseRecord) -> None:
        recorder.note_phase(Phase(phase.name, phase.started, phase.seconds, phase.ok, phase.message))
        if not phase.ok and phase.message != STOPPED:
            recorder.run_error(f"provisioning of {phase.name} failed: {phase.message}")

    with Installer(settings, recorder.for_the_run(), run_id, on_phase=ended, claim=claim) as installer:
        # One feature file brings up what it needs; more than one will need everything, so all of it starts at once.
        if len({item.path for item in request.session.items}) > 1:
            installer.begin(*PARTS)
        made = made_here(installer, settings.patience, recorder, may_change)
        yield made
        if settings.keep or settings.reuse:
            _await_departures(made, settings)
        _take_last_looks(request.config, made, recorder)
    if installer.lost:
        recorder.run_error(installer.lost)


def _await_departures(target: Target, settings: Settings) -> None:
    if settings.patience.teardown:
        target.objects.await_departures(Pace(settings.patience.teardown))


def _take_last_looks(config: pytest.Config, target: Target, recorder: Store) -> None:
    """Lets steps conclude that asked for a look after the clean-up; the fixture `cluster` is closed by then."""
    if not (later := config.stash[LATER]):
        return
    settings = config.stash[SETTINGS]
    opened = Cluster(target.kubeconfig, target.context, recorder, settings.patience, settings.sizes)
    try:
        for bookmark, look in later:
            recorder.conclude_later(bookmark, partial(look, opened))
    finally:
        opened.close()


@pytest.fixture(scope="session")
def outputs(pytestconfig: pytest.Config) -> Callable[[], Mapping[str, str]]:
    """Every output of this run, by name, as the suite would write it now."""
    return pytestconfig.stash[COLLECTOR].outputs


@pytest.fixture(scope="session")
def at_the_end(pytestconfig: pytest.Config, recorder: Store) -> Callable[[LastLook], None]:
    """Takes a look for the step that asks, when the run has cleaned up; see `provision.target.LastLook`."""

    def ask(look: LastLook) -> None:
        pytestconfig.stash[LATER].append((recorder.bookmark(), look))

    return ask


@pytest.fixture(scope="session")
def cluster(target: Target, settings: Settings, recorder: Store, pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The Kubernetes API, to look at. No other run may change the cluster meanwhile; a read-only run tells if one could."""
    opened = Cluster(target.kubeconfig, target.context, recorder, settings.patience, settings.sizes)
    recorder.note_unverified(opened.api.unverified)
    opened.api.must_answer()
    claim = pytestconfig.stash[CLAIM]
    if claim is None:
        with _undisturbed(opened, recorder, ways_of(settings)):
            yield opened
    else:
        if without := claim.take():  # the fixture `target` releases it, once nothing changes the cluster any more
            recorder.run_error(without)
        yield opened
    opened.close()


@contextlib.contextmanager
def _undisturbed(cluster: Cluster, recorder: Store, ways: Ways) -> Iterator[None]:
    """Looks whether a disruptive run held the cluster in between, which makes a read-only run inconclusive."""
    unknown = "it could not be determined whether a disruptive run changed the cluster meanwhile"
    try:
        before = cluster.lease()
    except CouldNotTell as error:
        recorder.run_error(f"{unknown}: {error}")
        yield
        return
    yield
    try:
        after = cluster.lease()
        by, remedy = disturbed_by(before, after), ways.alone(after)
    except CouldNotTell as error:
        recorder.run_error(f"{unknown}: {error}")
    else:
        if by:
            recorder.run_error(f"expected no disruptive run while this one looked; saw {by}. {WHAT_TO_DO}: {remedy}")


@pytest.fixture(scope="session")
def install(
    target: Target, cluster: Cluster, settings: Settings, recorder: Store, pytestconfig: pytest.Config
) -> Iterator[Install]:
    """Access to all readings of the install; its facts go on the report's first page."""
    tools = Tools(
        kubectl=str(target.sources.kubectl),
        istioctl=str(target.sources.istioctl),
        tctl=target.tctl,
        kubeconfig=target.kubeconfig,
        context=target.context,
        timeout=settings.patience.command,
        limit=settings.sizes.command,
        recorder=recorder,
    )

    def address() -> TeleportAddress:
        found = target.teleport()
        recorder.note_unverified(found.unverified)
        return found

    opened = open_install(
        settings,
        cluster,
        recorder,
        tools=tools,
        address=address,
        claimed=recorder.note_claimed,
        profiles=pytestconfig.stash[PROFILES],
        is_scratch=is_scratch,
        provisions=target.provisions,
        audit_events=target.audit_events,
        progress=Progress(pytestconfig.pluginmanager.get_plugin("terminalreporter")),
        need=target.need,
    )
    yield opened
    _note_run_facts(opened, target, recorder)


@pytest.fixture(scope="session")
def probes(target: Target, cluster: Cluster, settings: Settings) -> Iterator[Probes]:
    """Probe pods, removed at the end."""
    made = Probes(target.objects, cluster, image=target.sources.workload_image, patience=settings.patience.pod_ready)
    yield made
    made.remove()


@pytest.fixture(scope="session")
def gather(
    target: Target, cluster: Cluster, install: Install, settings: Settings
) -> Callable[[Iterable[TestPod]], TestPods]:
    """Makes test pods from their descriptions; the caller removes them."""
    target.need("tbot")
    mesh = install.istio.mesh()
    return partial(
        TestPods,
        target.objects,
        cluster,
        image=target.sources.workload_image,
        mesh=MeshNames(
            mesh.trust_domain,
            lambda namespace: join(namespace, install.istio.planes(), mesh),
            install.istio.injection_template(),
            partial(why_rules_refuse, install),
        ),
        nodes=install.cluster.workload_nodes(),
        patience=settings.patience.pod_ready,
    )


@pytest.fixture(scope="session")
def test_pods(gather: Callable[[Iterable[TestPod]], TestPods]) -> Iterator[TestPods]:
    """Test pods, all begun at once and removed at the end."""
    made = gather(TEST_PODS)
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def short_lived(target: Target, install: Install, settings: Settings) -> Iterator[ShortLived]:
    """Tbot's certificates with short lifetimes, from when a step asks for them until the end of the feature."""
    pace = Pace(settings.patience.rollout)
    changed = ShortLived(target.objects, target.originals, install.cluster.reader, install.tbot.installed(), pace)
    yield changed
    changed.end()


@pytest.fixture(scope="session")
def namespaces_of_features() -> Iterator[str]:
    """Namespaces for `long_running`, each another one: those of an earlier feature may still be on their way out."""
    return (f"long-running-{number}" for number in count(1))


@pytest.fixture(scope="module")
def long_running(
    short_lived: ShortLived,
    gather: Callable[[Iterable[TestPod]], TestPods],
    namespaces_of_features: Iterator[str],
    target: Target,
) -> Iterator[TestPods]:
    """Test pods with short-lived certificates; removed before these are long-lived again."""
    if not short_lived.is_in_force:
        raise LookupError("a step must ask for short lifetimes before it asks for test pods that live from them")
    made = gather(long_running_in(next(namespaces_of_features), target.sources.older_proxy_image))
    try:
        yield made
    finally:
        made.remove()


def _note_run_facts(install: Install, target: Target, recorder: Store) -> None:
    """Puts the facts of earlier readings on the first page. Only the issuer of the identities is read here if need be."""
    ping = None
    if target.has_teleport():
        with contextlib.suppress(ConformanceError):  # then the page says: unknown
            ping = install.teleport.ping()
            if recorder.claimed and install.teleport.has_the_expected_anchors():
                recorder.note_claimed("")
    version, tbots = install.seen(VERSION), install.seen(TBOT)
    for tbot in tbots.each if tbots else ():
        recorder.note_unverified(tbot.unverified)
    for part in silent_parts(install.seen(NODES) or (), install.seen(PODS) or ()):
        recorder.note_not_judged(part)
    recorder.note_realms(realms_of(install))
    recorder.note_facts(
        run_facts(
            install.cluster.reader.api.host,
            ping=ping,
            version=version[0] if version else None,
            nodes=install.seen(NODES) or (),
            planes=install.seen(CONTROL_PLANES),
            tbot=tbots.first if tbots else None,
            instances=install.seen(BOT_INSTANCES) or (),
            fleet=install.seen(FLEET),
            pods=install.seen(PODS) or (),
        )
    )
