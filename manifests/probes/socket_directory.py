"""Program of a probe pod, with the standard library only: reads what a workload may do to the socket directory.

Prints one JSON document: owner and mode of the directory and of its entries, the kernel's access(2) for this process,
whether the mount is read-only, and who answers on each socket. It writes nothing there, and asks no socket for an identity.
"""

import json
import os
import pathlib
import socket
import stat
import sys

TIMEOUT = 3
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How every client of HTTP/2 begins. A server greets in return, before anybody has asked it for anything (RFC 9113, 3.4)."""


def listener(path):
    """Who is behind a socket: ``answers``, ``silent``, ``nobody``; empty where this process cannot find out."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(str(path))
            connection.sendall(GREETING)
            return "answers" if connection.recv(1) else ""
    except ConnectionRefusedError:
        return "nobody"
    except (TimeoutError, BlockingIOError):  # no word in time, or no place left in the queue of those who wait
        return "silent"
    except OSError:
        return ""


def described(path):
    """Owner, group and mode of one file, and whether it is a socket and who is behind it."""
    found = path.lstat()
    is_socket = stat.S_ISSOCK(found.st_mode)
    return {
        "name": path.name,
        "uid": found.st_uid,
        "gid": found.st_gid,
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
        "socket": is_socket,
        "listener": listener(path) if is_socket else "",
    }


def listing(directory):
    """What is in the directory; None where this process may not look."""
    try:
        return [described(path) for path in sorted(directory.iterdir())]
    except OSError:
        return None


directory = pathlib.Path(sys.argv[1])
mount = os.statvfs(directory)
print(
    json.dumps(
        {
            "uid": os.getuid(),
            "gid": os.getgid(),
            "directory": described(directory),
            "writable": os.access(directory, os.W_OK),
            "searchable": os.access(directory, os.X_OK),
            "mount_read_only": bool(mount.f_flag & os.ST_RDONLY),
            "entries": listing(directory),
        }
    )
)
