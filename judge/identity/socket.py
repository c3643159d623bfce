"""Judgments about write access to the node's socket: ID-08, its directory and mounts of it, and ID-12, those in proxies."""

from __future__ import annotations

from collections.abc import Sequence

from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.node_directories import RUN, NodeMount, mounts_that_reach
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY, ROOT, SOCKET_DIRECTORIES, SOCKET_VOLUME, VolumeMount
from facts.kubernetes.probes import Refused, SocketDirectoryProbe
from facts.provider.agents import Agents, SocketDirectories
from facts.proxies.identity import LeftOut
from facts.proxies.mounts import SocketMount
from judge.findings import Claim, confirmed_of, listed, problem
from judge.fleet import NONE_STAYED, READ_AGAIN, went_away
from judge.install.application import socket_volume_problems
from judge.install.istio import NO_WORKLOAD
from judge.install.probes import WRITE, held_on, mode_lets, on_node

DIRECTORY, MOUNT, REACHED = "socket-directory-writable", "mount-writable", "socket-directory-mounted"
"""Causes that these judgments name."""


def directories_are_closed(
    probes: Sequence[SocketDirectoryProbe | Refused], socket_directory: str, evidence: Sequence[str]
) -> Finding:
    """ID-08, first part: the user of Istio's proxies cannot write to the directory, and owns no socket in it.

    Args:
        probes: One for each node that has the directory.
        socket_directory: Directory on the node in which tbot listens.
        evidence: The list of pods, which shows the nodes.
    """
    claim = Claim(
        "ID-08",
        expected=f"no proxy to be able to write to {socket_directory} on its node, or to own the socket there",
        where=f"{socket_directory} on nodes {listed(p.node for p in probes)}",
        evidence=(*readings(*probes), *evidence),
    )
    ran = [p for p in probes if isinstance(p, SocketDirectoryProbe)]
    problems = [each for p in ran for each in _directory_problems(p, socket_directory)]
    unclear = [on_node(p, f"the probe pod did not run: {p.reason}") for p in probes if isinstance(p, Refused)]
    unclear += [on_node(p, "the probe pod's own mount is read-only") for p in ran if p.mount_read_only]
    if not probes:
        unclear.append(claim.problem("no node runs tbot or an injected pod"))
    return claim.judged(
        problems,
        held=confirmed_of([held_on(p, str(p.directory)) for p in ran], problems),
        unclear=unclear,
        settle="find out why the probe pod did not run with the mount of a workload (INST-04)",
    )


def only_tbot_writes_there(pods: Sequence[Pod], tbots: Agents, socket_directory: str, evidence: Sequence[str]) -> Finding:
    """ID-08, second part: no container that may be root has a writable mount of the directory or of a parent of it.

    The mode of the directory keeps all other users out (first part), and root in no case. Where a container's
    specification leaves the user to the image, root is the default. tbot has to write there. A container that is root of
    its node anyway needs no mount; it is named and not judged, since who may run such pods is not a matter of the mesh.

    Args:
        pods: All living pods of the nodes that have the directory.
        tbots: Every tbot that serves the mesh.
        socket_directory: Directory on the node in which tbot listens.
        evidence: The list of pods.
    """
    claim = Claim(
        "ID-08",
        expected=f"no container but tbot's that may be root to be able to write to {socket_directory} of its node",
        where=f"the mounts of {len(pods)} pods",
        evidence=(*tbots.evidence, *evidence),
    )
    problems, left_out, seeing = [], [], 0
    for pod in pods:
        if any(tbot.runs(pod) for tbot in tbots.each):
            left_out.append(Remark(pod.ref, "tbot itself, which makes the socket there"))
            continue
        reaching = mounts_that_reach(pod.spec, socket_directory)
        writable = [m for m in reaching if m.writable and pod.spec.may_be_root(m.container)]
        problems += [_writable_for_root(pod, each, socket_directory) for each in writable]
        if not writable:
            seeing += bool(reaching)
            roots = [c.name for c in (*pod.containers, *pod.spec.ephemeral) if pod.spec.is_root_of_its_node(c)]
            said = f"its container {' and '.join(roots)} is root of its node, whatever it mounts"
            left_out += [Remark(pod.ref, said)] if roots else []
    return claim.judged(
        problems,
        f"{seeing} of {len(pods)} pods see the directory, and none of them can write to it as root",
        left_out=left_out,
    )


def _writable_for_root(pod: Pod, reaching: NodeMount, directory: str) -> Problem:
    container, mount = reaching.container, reaching.mount
    root = "runs as root" if pod.spec.user_of(container) == ROOT else "may run as root, the default of an image"
    how = f"mounts {reaching.shows} at {mount.path}, and may write to {directory} there"
    if reaching.below_read_only:
        how += f": readOnly does not hold for {RUN}, a file system of its own"
    of_proxy = container.name == PROXY and mount.path.rstrip("/") in SOCKET_DIRECTORIES
    return problem(pod, f"its container {container.name} {root}, {how}", MOUNT if of_proxy else REACHED)


def _directory_problems(probe: SocketDirectoryProbe, directory: str) -> list[Problem]:
    found = []
    if probe.writable or mode_lets(WRITE, probe.directory, probe):
        found.append(on_node(probe, f"uid {probe.uid} may write to {directory} ({probe.directory})", DIRECTORY))
    elif probe.directory.uid != ROOT or probe.directory.mode & 0o022:
        # A mesh may run its proxies as other users: on some platforms each namespace has its own, all in root's group.
        found.append(on_node(probe, f"others than root may write to {directory} ({probe.directory})", DIRECTORY))
    found += [
        on_node(
            probe,
            f"the socket {directory}/{entry.name} belongs to uid {entry.uid}: an Istio agent created it",
            "socket-taken-over",
        )
        for entry in probe.entries or ()
        if entry.is_socket and entry.uid == probe.uid
    ]
    return found


def mounts_are_read_only(
    mounts: Sequence[SocketMount | LeftOut], injected: Sequence[Pod], directories: SocketDirectories, evidence: Sequence[str]
) -> Finding:
    """ID-12: the mount in effect keeps each proxy from writing to the directory of its socket.

    The mount table decides. Where it cannot be read (an image without ``cat``), the specification decides if it is
    unambiguous; two mounts of which one is read-only are not, since the runtime chooses which one is on top.

    Args:
        mounts: The mount in effect of each pod that has the node's directory, and those of them that are gone.
        injected: All injected pods; those that do not mount the node's socket are left out.
        directories: Directories of the nodes in which tbot listens.
        evidence: The list of pods.
    """
    gone = {m.pod.uid: m for m in mounts if isinstance(m, LeftOut)}
    pods = [p for p in injected if not socket_volume_problems(p, directories) and p.uid not in gone]
    claim = Claim(
        "ID-12",
        expected="each proxy to mount the directory of its socket read-only in effect",
        where=f"{SOCKET_DIRECTORIES[0]} in {len(pods)} proxies",
        evidence=(*readings(*mounts, *pods), *evidence),
    )
    if not injected and not gone:
        return claim.not_applicable(NO_WORKLOAD)
    known = {m.pod.uid: m for m in mounts if isinstance(m, SocketMount)}
    problems, unclear, specified = [], [], 0
    for pod in pods:
        seen = known.get(pod.uid)
        if seen is not None and seen.mount is not None:
            if not seen.mount.read_only:
                said = f"its proxy mounts the directory writable ({seen.mount.path} in its mount table)"
                problems.append(Problem(pod.ref, said, MOUNT, (*seen.evidence, *pod.evidence)))
            continue
        read_only, reason = _specified_read_only(pod)
        if read_only is None:
            twice = len({mount.read_only for mount in _mounts(pod)}) > 1
            said = f"{reason}; its mount table: {seen.why if seen else 'not read'}"
            unclear.append(problem(pod, said, MOUNT if twice else ""))
        elif read_only:
            specified += 1
        else:
            problems.append(problem(pod, f"its proxy mounts the directory writable ({reason})", MOUNT))
    if not pods and gone:
        unclear.append(claim.problem(NONE_STAYED))
    elif not pods:
        problems.append(claim.problem(f"none of {len(injected)} injected pods mounts the directory of tbot's socket"))
    by = f", {specified} of them by their specification alone" if specified else ", by their mount tables"
    return claim.judged(
        problems,
        f"read-only in {len(pods)} proxies{by}",
        unclear=unclear,
        settle=READ_AGAIN
        if not pods
        else "mount it once with readOnly: true, as manifests/istio-config.yaml does; or use an image that has cat",
        left_out=went_away(gone.values()),
    )


def _mounts(pod: Pod) -> list[VolumeMount]:
    return [m for m in (pod.proxy.mounts if pod.proxy else ()) if m.path.rstrip("/") in SOCKET_DIRECTORIES]


def _specified_read_only(pod: Pod) -> tuple[bool | None, str]:
    """The mount in effect by a pod's specification, with the reason; None where two mounts contradict each other."""
    volume = pod.spec.volume(SOCKET_VOLUME)
    mounts = _mounts(pod)
    if volume is not None and volume.source == "csi" and volume.read_only:
        return True, "a read-only CSI volume"
    if not mounts:
        return None, f"it is not mounted at {SOCKET_DIRECTORIES[0]}"
    if all(m.read_only for m in mounts):
        return True, "every mount of it is readOnly"
    if not any(m.read_only for m in mounts):
        return False, "no mount of it is readOnly"
    return None, f"it is mounted at {listed(m.path for m in mounts)}, and not every mount is readOnly"
