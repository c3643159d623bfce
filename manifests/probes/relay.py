"""Program of a privileged probe pod, with the standard library only: becomes a process outside any pod.

Listens on a socket in the pod, then enters the mount namespace of the node's first process. From then on its /proc entry
shows the node's mounts instead of a pod's, and tbot attests that entry. It forwards each connection, byte for byte, to the
node's own socket, so that tbot sees this process as the caller.

Usage: relay.py SOCKET-OF-THE-NODE SOCKET-TO-LISTEN-ON. Prints as one JSON document what it has become, and serves.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import socket
import sys
import threading

NEW_MOUNTS = 0x00020000
OWN, NODE = pathlib.Path("/proc/self/ns/mnt"), pathlib.Path("/proc/1/ns/mnt")


def enter(namespace):
    """Goes over to a mount namespace; only a process of one thread may."""
    libc = ctypes.CDLL(None, use_errno=True)
    with namespace.open("rb") as opened:
        if libc.setns(opened.fileno(), NEW_MOUNTS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(namespace))


def cgroup_root():
    """The root field of the first cgroup mount, as tbot takes it."""
    with pathlib.Path("/proc/self/mountinfo").open(encoding="utf-8") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            if after.split(" ", 1)[0] in ("cgroup", "cgroup2"):
                return before.split()[3]
    return ""


def pump(source, sink):
    """Passes on what comes, and the end of it."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def pass_on(caller, path):
    """One connection; where the node's socket takes none, the caller's is closed."""
    with caller, socket.socket(socket.AF_UNIX) as node:
        try:
            node.connect(path)
        except OSError as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
            return
        back = threading.Thread(target=pump, args=(node, caller), daemon=True)
        back.start()
        pump(caller, node)
        back.join()


def main():
    """Listens, goes over, serves."""
    path, own = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(own)
        pathlib.Path(own).chmod(0o666)  # the proxy beside it is another user
        enter(NODE)
        listening.listen()
        seen = {"mounts": str(OWN.readlink()), "mounts_of_node": str(NODE.readlink()), "root": cgroup_root()}
        print(json.dumps(seen), flush=True)
        while True:
            caller, _ = listening.accept()
            threading.Thread(target=pass_on, args=(caller, path), daemon=True).start()


main()
