"""Program of a node probe, with the standard library only: shows what tbot would see on this node.

Prints one JSON document: the kubelet's answer at the address that tbot uses, and the container and pod IDs in the mountinfo
of the node's processes. Reads only; sends no credential.
"""

import http.client
import json
import os
import pathlib
import re
import ssl

CONTAINER = re.compile(r"[0-9a-f]{64}")
POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")


def kubelet(host, port):
    """The HTTP status of the kubelet's health page; 401 is an answer, too."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # kubelets sign their own certificates; only the answer matters here
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
    try:
        connection.request("GET", "/healthz")
        return {"address": address, "status": connection.getresponse().status, "error": ""}
    except (TimeoutError, OSError, http.client.HTTPException) as error:
        return {"address": address, "status": 0, "error": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()


def cgroup_root(mountinfo):
    """The root field of the first cgroup mount, as tbot takes it."""
    # Paths may hold what splitlines() and split() take for separators, such as U+0085.
    for line in mountinfo.split("\n"):
        before, _, after = line.partition(" - ")
        if after.split(" ", 1)[0] in ("cgroup", "cgroup2"):
            return before.split(" ")[3]
    return ""


def processes():
    """Ids found in the mountinfo of every process of the node, one entry per container."""
    found, unreadable = {}, 0
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            root = cgroup_root((entry / "mountinfo").read_bytes().decode(errors="replace"))
        except OSError:
            unreadable += 1
            continue
        containers, pods = CONTAINER.findall(root), POD.findall(root)
        if pods:
            key = (containers[0] if containers else "", pods[0].replace("_", "-"))
            found.setdefault(key, {"container": key[0], "pod": key[1], "ids_in_path": len(containers), "root": root})
    return {"containers": sorted(found.values(), key=lambda c: c["root"]), "unreadable": unreadable}


print(
    json.dumps({"kubelet": kubelet(os.environ["KUBELET_HOST"], int(os.environ["KUBELET_PORT"])), "processes": processes()})
)
