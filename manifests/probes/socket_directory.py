"""Program of a probe pod, with the standard library only: reads what a workload may do to the socket directory.

Prints one JSON document: owner and mode of the directory and of its entries, the kernel's access(2) for this process, and
whether the mount is read-only. Reads only.
"""

import json
import os
import pathlib
import stat
import sys


def described(path):
    """Owner, group and mode of one file, and whether it is a socket."""
    found = path.lstat()
    return {
        "name": path.name,
        "uid": found.st_uid,
        "gid": found.st_gid,
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
        "socket": stat.S_ISSOCK(found.st_mode),
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
