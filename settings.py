"""The settings: one documented, typed object. Command line over environment over ``conformance.toml`` over defaults.

Environment variables are ``CONFORMANCE_`` plus the field's name in capitals (``CONFORMANCE_CONTEXT``), nested ones with two
underscores (``CONFORMANCE_TIMEOUTS__POD_READY``). The names of the guide are the defaults; on an existing install they are
where discovery starts.
"""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

MIB = 2**20

DEFAULT_FILE = Path("conformance.toml")
ENV_PREFIX = "CONFORMANCE_"


class BadSettings(Exception):
    """The settings cannot be used. Its text is one sentence for the user, with the next step."""


def _words(value: Any) -> Any:
    """`a,b` as the command line and the environment give it; a TOML list passes as it is."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Profiles = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words), Field(min_length=1)]
Command = Annotated[str, AfterValidator(lambda line: shlex.join(shlex.split(line)))]
Repairs = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Requirements = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
SafetyClass = Literal["read-only", "namespaced", "disruptive"]
SafetyClasses = Annotated[tuple[SafetyClass, ...], NoDecode, BeforeValidator(_words)]


def cache_directory() -> Path:
    """Return the directory for built and downloaded files: the user's cache directory, outside the checkout."""
    own = os.environ.get("CONFORMANCE_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "istio-teleport-conformance"


class Timeouts(BaseModel):
    """Limits on waiting, in seconds. They bound the suite, and are no requirements on the install."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: float = Field(default=30, gt=0, description="Time for one read command (kubectl, istioctl, tctl).")
    api: float = Field(default=15, gt=0, description="Time for one request to the Kubernetes API server.")
    admin: float = Field(
        default=10, gt=0, description="Time for one request to Envoy's admin interface, with the port-forward."
    )
    cluster_up: float = Field(default=240, gt=0, description="Time for `kind create cluster`.")
    nodes_ready: float = Field(default=120, gt=0, description="Time until all nodes of a new cluster are Ready.")
    istio_install: float = Field(default=300, gt=0, description="Time for `istioctl install`.")
    rollout: float = Field(default=180, gt=0, description="Time until an applied Deployment or DaemonSet is complete.")
    pod_ready: float = Field(
        default=120, gt=0, description="Time until a new pod is Ready, or a new probe pod has finished."
    )
    teleport_up: float = Field(
        default=90, gt=0, description="Time until a started Teleport container answers its ping endpoint."
    )
    svid: float = Field(default=60, gt=0, description="Time until the sidecar of a started pod holds its first identity.")
    doctor: float = Field(default=120, gt=0, description="Time for one answer of `conformance doctor` to the suite.")
    survey: float = Field(
        default=90,
        gt=0,
        description="Time in which `conformance doctor` asks all proxies; those that are left then, it does not read.",
    )
    teardown: float = Field(
        default=60,
        ge=0,
        description="Time until all deleted objects of the suite are gone; 0 to return without waiting.",
    )

    def scaled(self, factor: float) -> Timeouts:
        """All timeouts multiplied by `factor`."""
        return Timeouts(**{name: value * factor for name, value in self.model_dump().items()})


class Sizes(BaseModel):
    """Limits on answers, in bytes. What the suite reads is written by others, and a pod may answer without end.

    An answer that is larger is an error of the reading: the suite uses no part of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: int = Field(
        default=64 * MIB, gt=0, description="Bytes of one answer of the Kubernetes API server, such as one page of a list."
    )
    objects: int = Field(default=1024 * MIB, gt=0, description="Bytes of all pages of one list of the API server.")
    log: int = Field(
        default=8 * MIB, gt=0, description="Bytes of one container's log, of which the suite reads the last lines."
    )
    pod: int = Field(
        default=64 * MIB,
        gt=0,
        description="Bytes of one answer of a pod: of Envoy's admin interface, or all output of a program in a container.",
    )
    teleport: int = Field(default=4 * MIB, gt=0, description="Bytes of one answer of Teleport's proxy.")
    command: int = Field(default=64 * MIB, gt=0, description="Bytes of all output of one command (kubectl, istioctl, tctl).")


DEFAULT_SIZES = Sizes()
"""The limits of a reader that is given none."""


class Names(BaseModel):
    """Names of objects; the defaults are the guide's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    istio_namespace: str = Field(default="istio-system", description="Namespace of istiod.")
    injection_template: str = Field(default="spire", description="Injection template that mounts the socket.")
    tbot_namespace: str = Field(default="teleport-system", description="Namespace of tbot.")
    tbot: str = Field(default="tbot", description="Name of tbot's DaemonSet and service account.")
    token: str = Field(default="istio-tbot-k8s-join", description="Join token in Teleport.")
    bot: str = Field(default="istio-tbot", description="Bot in Teleport.")
    role: str = Field(default="istio-workload-identity-issuer", description="Role of the bot in Teleport.")
    workload_identity: str = Field(default="istio-workloads", description="workload_identity resource in Teleport.")
    app_namespace: str = Field(default="test-app", description="Namespace of the test application.")
    app: str = Field(default="test-app", description="Deployment, label `app` and service account of the test application.")
    socket_directory: str = Field(default="/run/spire/sockets", description="Directory on each node that holds the socket.")
    socket_name: str = Field(
        default="socket", description="File name of the socket; any other name makes Istio fail closed."
    )


class Declared(BaseModel):
    """What the owner of a mesh declares about it. The suite cannot read it anywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    islands: tuple[tuple[str, ...], ...] = Field(
        default=(),
        description='Groups of namespaces that talk only among themselves, e.g. `[["legacy", "legacy-db"]]`: MTL-03 and'
        " MTL-04 leave out the ways into and out of them.",
    )
    plain_text: tuple[str, ...] = Field(
        default=(),
        description="Namespaces whose workloads are meant to take no mutual TLS; MTL-01, MTL-02 and MTL-06 leave them out.",
    )


def _holder(named: str) -> str:
    kind, _blank, name = named.partition(" ")
    if kind not in ("User", "Group", "ServiceAccount") or not name.strip() or (kind == "ServiceAccount") != ("/" in name):
        raise ValueError("a holder of rights is `User NAME`, `Group NAME` or `ServiceAccount NAMESPACE/NAME`")
    return named


Holder = Annotated[str, AfterValidator(_holder)]


class Hygiene(BaseModel):
    """What the profile `hygiene` compares with. Without a setting, its requirement is *not-evaluated*."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: Path | None = Field(
        default=None, description="Git repository that has the template of the join token's file, which HYG-01 needs."
    )
    token_file: str = Field(
        default="istio-tbot-token.yaml",
        min_length=1,
        pattern=r"^[\w.-]+$",
        description="Name of the filled-in file of the join token, wherever it is in that repository.",
    )
    token_template: str = Field(
        default="istio-tbot-token.yaml.template",
        min_length=1,
        pattern=r"^[\w.-]+$",
        description="Name of its template, wherever it is in that repository.",
    )
    expected_subjects: tuple[Holder, ...] | None = Field(
        default=None,
        description="Users, groups and service accounts that may use tbot's service account, which HYG-02 needs, e.g."
        ' `["Group platform-admins", "ServiceAccount argocd/argocd-application-controller"]`; `[]` for none.',
    )


class Waived(BaseModel):
    """A decision to accept a requirement that does not hold, for a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = Field(min_length=1, description="Person or team that decided.")
    justification: str = Field(min_length=1, description="Reason for the decision.")
    last_day: date = Field(description="Last day, in UTC, on which the waiver has effect.")
    approver: str = Field(default="", description="Person who agreed to the decision.")
    ticket: str = Field(default="", description="Where the decision is written down, such as the id of a ticket.")
    subjects: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="Subjects that it covers, as the report names them: `Pod shop/cart-*`, or `shop/cart-*` of any kind;"
        " without any it covers the whole requirement.",
    )


def _one_or_several(given: Any) -> Any:
    return given if isinstance(given, list | tuple) else (given,)


def _by_requirement(given: Any) -> Any:
    """Waivers that name their requirement inside, as a list or as a single table, by that requirement; others as they are.

    Raises:
        ValueError: One of a list names no requirement.
    """
    several = [given] if isinstance(given, dict) and "requirement" in given else given
    if not isinstance(several, list | tuple):
        return given
    found: dict[str, list[Any]] = {}
    for each in several:
        requirement = each.get("requirement") if isinstance(each, dict) else None
        if not isinstance(requirement, str) or not requirement:
            raise ValueError(
                'each waiver must name its requirement: [waivers.ID-08], or [[waivers]] with requirement = "ID-08"'
            )
        found.setdefault(requirement, []).append({key: value for key, value in each.items() if key != "requirement"})
    return found


class Settings(BaseSettings):
    """All settings of a run."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        toml_file=DEFAULT_FILE,
    )

    cluster: Literal["kind", "existing"] = Field(
        default="kind", description="Create a temporary kind cluster, or certify an existing cluster."
    )
    context: str = Field(
        default="",
        description="Kubeconfig context of the existing cluster; required: the suite never assumes the current one.",
    )
    kubeconfig: Path | None = Field(
        None, description="Kubeconfig of the existing cluster; if empty, $KUBECONFIG or ~/.kube/config."
    )
    kind_name: str = Field(
        default="conformance",
        max_length=49,  # with "-control-plane" behind it, it is the host name of a node: 63 characters at most
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        description="Name of the kind cluster: lower-case letters, digits and hyphens.",
    )
    nodes: int = Field(
        2, ge=1, le=5, description="Nodes of the kind cluster: one control plane, which also runs pods, and workers."
    )
    keep: bool = Field(default=False, description="Keep the kind cluster and Teleport running at the end.")
    reuse: bool = Field(default=False, description="Use a kept cluster of that name if there is one, and keep it again.")

    source: Literal["auto", "upstream", "mirror", "bundle"] = Field(
        default="auto",
        description="Source of images and binaries: public registries, a mirror, or the bundle that `make lab` builds.",
    )
    registry: str = Field(default="", description="HOST/PREFIX of the mirror, for the source `mirror`.")
    workload_image: str = Field(
        default="",
        pattern=r"^([\w./:@+-]+)?$",
        description="Image with `python3` for probe pods and test pods, best by digest (`NAME@sha256:…`); if empty, the"
        " source's own.",
    )
    istio: Literal["default", "older"] = Field(
        default="default",
        description="Istio version of the bundle; `.venv/bin/python -m lab build --istio older` builds the older one.",
    )
    cache: Path = Field(default_factory=cache_directory, description="Directory of files that are kept between runs.")

    install: Literal["recommended", "as-guide"] = Field(
        default="recommended",
        description="Manifests for the kind cluster: the recommended ones, or those of the guide, unchanged.",
    )
    repairs: Repairs = Field(
        default=(),
        description="Defects of the guide to repair in the installation, e.g. `bot,template` to see what they hide; in the"
        " recommended installation `socket-name,path-normalization,strict-mtls`, where it keeps the guide's values.",
    )

    trust_domain: str = Field(
        default="teleport.conformance.test",
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
        description="Name of the Teleport cluster to provision; on an existing cluster the suite discovers it, unless you"
        " give `trust_bundle` with it.",
    )
    tctl: Command = Field(
        default="",
        description="tctl command with an admin session at the existing Teleport, e.g. `tctl --auth-server=…`.",
    )
    teleport_proxy: str = Field(
        default="",
        pattern=r"^([^:/\s]+(:[0-9]{1,5})?)?$",
        description="HOST:PORT of the proxy of the existing Teleport that you expect; if empty, the suite takes the one that"
        " tbot's configuration claims, and the authority is unknown.",
    )
    teleport_ca: Path | None = Field(
        None,
        description="PEM file with the CA of the existing Teleport's proxy, or its own certificate; if empty, the system's.",
    )
    trust_bundle: Path | None = Field(
        None,
        description="SPIFFE bundle (JSON) of the existing Teleport that you expect, with `trust_domain`: the suite then"
        " judges every certificate against it, whatever Teleport tbot's configuration names.",
    )
    teleport_insecure: bool = Field(
        default=False,
        description="Skip the verification of the certificate of the existing Teleport's proxy; on an existing cluster the"
        " result is inconclusive at best.",
    )

    audit_events: Path | None = Field(
        None, description="Teleport's audit events as JSON lines, which ID-10 needs: a file, or a directory of *.log files."
    )

    profiles: Profiles = Field(default=("core",), description="Profiles to certify, e.g. `core`, `install`, `all`.")
    allow: SafetyClasses = Field(
        (), description="Safety classes to allow on an existing cluster besides read-only: namespaced, disruptive."
    )
    observe: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds between two readings of every proxy for ROT-01; 0 for a single reading.",
    )
    expiry_warning: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="ROT-06 reports certificates that expire within this many seconds; 0 for half of the rest at renewal.",
    )
    authority_expiry_warning: float = Field(
        default=30 * 86400,
        ge=0,
        allow_inf_nan=False,
        description="ROT-06 reports trusted authorities that expire within this many seconds.",
    )
    must: Requirements = Field(default=(), description="SHOULD requirements to treat as MUST, e.g. `ROT-06`.")
    strict: bool = Field(default=False, description="Fail the run if a SHOULD requirement does not hold.")
    allow_partial: bool = Field(default=False, description="Exit with 0 for the result `partial`.")
    reports: Path = Field(default=Path("reports"), description="Directory of the reports.")
    run_id: str = Field(
        default="",
        max_length=40,  # namespaces of test pods have it in their names, and a label has at most 63 characters
        pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$",
        description="Name for this run and its report, e.g. that of a CI job; if empty, the time and random characters.",
    )
    wait_for_run: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds to wait for another run that may change the same cluster; 0 to be refused at once.",
    )
    timeout_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="Factor for every timeout.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Limits on waiting.")
    sizes: Sizes = Field(default_factory=Sizes, description="Limits on answers.")
    names: Names = Field(default_factory=Names, description="Names of objects.")
    mesh: Declared = Field(default_factory=Declared, description="What the owner of the mesh declares.")
    hygiene: Hygiene = Field(default_factory=Hygiene, description="What the profile `hygiene` compares with.")
    waivers: Annotated[
        Mapping[str, Annotated[tuple[Waived, ...], BeforeValidator(_one_or_several)]], BeforeValidator(_by_requirement)
    ] = Field(
        default_factory=dict,
        description="Accepted failures: `[waivers.ID]` with `owner`, `justification` and `last_day`; `approver`, `ticket`"
        " and `subjects` may be given. Several for one requirement are written as `[[waivers.ID]]`, and those of any as"
        " `[[waivers]]` with `requirement`.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a .env file is not read, on purpose
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - nor are secret files
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line (init) over environment over file; nothing else is read."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def patience(self) -> Timeouts:
        """The timeouts with --timeout-scale applied."""
        return self.timeouts.scaled(self.timeout_scale)

    @property
    def allowed_safety(self) -> frozenset[str]:
        """Safety classes that this run may use. On a cluster of our own everything is allowed."""
        if self.cluster == "kind":
            return frozenset({"read-only", "namespaced", "disruptive"})
        allowed = {"read-only", *self.allow}
        if "disruptive" in allowed:
            allowed.add("namespaced")
        return frozenset(allowed)


def load(**given: Any) -> Settings:
    """Settings from everywhere; `given` (the command line) wins, a None in it counts as not given.

    Raises:
        BadSettings: A value cannot be used, a name is unknown, or the file cannot be read.
    """
    try:
        _refuse_unknown_variables()
        if DEFAULT_FILE.is_dir():  # which pydantic-settings would pass over
            raise IsADirectoryError("a directory")
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = "; ".join(_in_words(each) for each in error.errors(include_url=False))
        raise BadSettings(f"a setting cannot be used: {wrong}. What to do: see `conformance options`") from error
    except SettingsError as error:
        raise BadSettings(f"a setting cannot be used: {error}. What to do: see `conformance options`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        file = DEFAULT_FILE.absolute()
        raise BadSettings(
            f"expected settings in TOML; saw {error} ({file}). What to do: correct or remove the file"
        ) from error


def described(model: type[BaseModel], within: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of every setting; those of a table as ``table.name``, as they stand in the file.

    Args:
        model: `Settings`, or one of its tables.
        within: What stands before a name.
    """
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from described(type(default), f"{within}{name}.")
        else:
            shown = ",".join(default) if isinstance(default, tuple | dict) else str("" if default is None else default)
            yield f"{within}{name}", shown, field.description or ""


def defaults(**given: Any) -> Settings:
    """Default settings for a run that cannot start; only the directory of its report is the user's."""
    reports = given.get("reports") or os.environ.get(f"{ENV_PREFIX}REPORTS") or Settings.model_fields["reports"].default
    return Settings.model_construct(reports=Path(reports))


def _refuse_unknown_variables() -> None:
    """Refuse an unknown variable: pydantic-settings ignores it, so that a misspelt one would have no effect.

    Raises:
        BadSettings: The environment has such a variable.
    """
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX) and variable.upper().partition("__")[0] not in known:
            raise BadSettings(
                f"a setting cannot be used: there is none for the environment variable {variable}. "
                "What to do: unset it; see `conformance options`"
            )


def _in_words(wrong: Any) -> str:
    """One error of pydantic in words: the setting, what is wrong, and the value."""
    name = ".".join(str(part) for part in wrong["loc"]) or "settings"
    if wrong["type"] == "extra_forbidden":
        return f"{name}: there is no setting of this name"
    what = wrong["msg"].removeprefix("Value error, ")
    return f"{name}: {what[:1].lower()}{what[1:]}, saw {wrong['input']!r}"
