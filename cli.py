"""Manage a kept lab cluster, mend what a killed run left, and show what a run would use. To certify: `pytest features/`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import yaml
from rich.console import Console
from rich.table import Table

from facts.catalogue import parse_catalogue
from facts.errors import BadInput, ConformanceError
from facts.recorder import KeptInMemory
from provision.clusters.sources import resolve, wants_bundle
from provision.installing.install import Installer, remove
from provision.installing.phases import PhaseRecord
from provision.runs.aftermath import removed, undone
from provision.runs.undo import Line, State, exit_code
from provision.target import holding
from settings import BadSettings, Settings, described, load

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False, markup=False)
errors = Console(highlight=False, markup=False, stderr=True)

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
) -> None:
    """Create a kind cluster with Istio, Teleport and tbot, and keep it."""
    settings = load(
        kind_name=kind_name, source=source, istio=istio, nodes=nodes, install=install, repairs=repair, keep=True, reuse=True
    )
    installer = Installer(settings, KeptInMemory(), f"up-{secrets.token_hex(3)}", on_phase=_tell)
    console.print(f"{settings.kind_name}: {settings.nodes} nodes, images from {installer.sources.origin}")
    with holding(settings, installer.run_id), installer:
        authority = installer.installation().authority
    words = ["pytest", "features/", "--reuse", "--kind-name", settings.kind_name, *installer.variant.options]
    console.print(f"\nThe cluster is up. Certify it with\n  {' '.join(words)}", soft_wrap=True)
    console.print("or certify it as an existing install, without an admin session:")
    console.print(
        f"  pytest features/ --cluster existing --kubeconfig {installer.kubeconfig} --context {installer.context} \\\n"
        f"    --teleport-proxy {authority.proxy} --teleport-insecure",
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
    remove(settings, KeptInMemory())
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
    _tell_lines(undone(settings, yes=yes), "conformance undo … --yes restores it")


_MARKS = {State.DONE: "√", State.LEFT: "×", State.OTHERS: "!", State.UNKNOWN: "?"}


def _tell_lines(lines: list[Line], way_on: str) -> NoReturn:
    """Print what runs left and what became of it, and exit with 0, 1 or 6."""
    for line in lines:
        console.print(f"{_MARKS[line.state]} {line.text}", soft_wrap=True)
    code = exit_code(lines)
    left = sum(line.state is not State.DONE for line in lines)
    console.print(f"{left} of {len(lines)} left; {way_on}" if left else "nothing is left", soft_wrap=True)
    raise typer.Exit(code)


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
def plan(profile: Annotated[str, typer.Option(help="Profiles, separated by commas.")] = "core") -> None:
    """List the requirements that a run with these profiles would certify."""
    features = Path(__file__).parent / "features"
    catalogue = parse_catalogue(yaml.safe_load((features / "catalogue.yaml").read_text(encoding="utf-8")))
    table = Table("requirement", "level", "profile", "what must hold", box=None)
    for requirement in catalogue.chosen(tuple(p.strip() for p in profile.split(","))):
        table.add_row(requirement.id, requirement.level.value, requirement.profile, requirement.sentence)
    console.print(table)


@app.command()
def options() -> None:
    """List every setting with its default and its meaning."""
    table = Table("setting", "default", "meaning", box=None)
    for name, default, meaning in described(Settings):
        table.add_row(name, default, meaning)
    console.print(table)


def _tell(phase: PhaseRecord) -> None:
    mark = "×" if not phase.ok else "–" if phase.message else "√"
    console.print(f"  {mark} {phase.name:<10} {phase.seconds:6.1f} s  {phase.message}".rstrip(), soft_wrap=True)


# Typer's own exit codes for wrong usage and Ctrl-C, and what pytest, and so this suite, has for them.
_EXIT_CODES = {2: 4, 130: 2}


def main() -> None:
    """Runs the command; an error that the user can correct ends in one sentence, not in a traceback.

    Exit codes are the suite's: 2 interrupted, 4 wrong usage, 6 any other error.
    """
    try:
        app()
    except SystemExit as end:
        sys.exit(_EXIT_CODES.get(end.code, end.code) if isinstance(end.code, int) else end.code)
    except ConformanceError as error:
        errors.print(f"× {error}", style="bold", soft_wrap=True)
        sys.exit(4 if isinstance(error, BadInput) else 6)
    except BadSettings as error:
        errors.print(f"× {error}", style="bold", soft_wrap=True)
        sys.exit(4)


if __name__ == "__main__":
    main()
