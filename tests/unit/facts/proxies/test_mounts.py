"""Mount tables, as the kernel writes them."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell
from facts.proxies.mounts import parse_mountinfo, socket_mount

ROOT = "635 520 0:90 / / rw,relatime master:208 - overlay overlay rw,lowerdir=/a,upperdir=/b\n"
UDS = "/run/secrets/workload-spiffe-uds"


def line(number: int, parent: int, path: str, options: str, filesystem: str = "rw") -> str:
    return f"{number} {parent} 0:24 /spire/sockets {path} {options},nosuid,nodev - tmpfs tmpfs {filesystem},size=1k\n"


def test_what_a_line_says() -> None:
    root, sockets = parse_mountinfo(ROOT + line(651, 635, UDS, "ro"))
    assert (root.id, root.parent, root.path, root.read_only) == (635, 520, "/", False)
    assert (sockets.path, sockets.read_only) == (UDS, True)


def test_a_read_only_file_system_is_read_only_through_a_writable_mount() -> None:
    assert parse_mountinfo(line(2, 1, UDS, "rw", "ro"))[0].read_only


def test_a_blank_in_a_path() -> None:
    assert parse_mountinfo("2 1 0:24 / /a\\040b rw - tmpfs tmpfs rw\n")[0].path == "/a b"


@pytest.mark.parametrize("blank", ["\x0b", "\x1c", "\x85", "\xa0", "\u2028"])
def test_other_blanks_than_the_kernels_are_part_of_a_path(blank: str) -> None:
    (found,) = parse_mountinfo(f"2 1 0:24 / /a{blank}b rw - tmpfs tmpfs rw\n")
    assert found.path == f"/a{blank}b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "nonsense",
        "2 1 0:24 / /a rw",
        "a b c d e rw - f g rw",
        "1 b c d e rw - f g rw",
        "a 2 c d e rw - f g rw",
        "2 1 0:2 / /a rw - f g",
        "2 1 0:2 / /a - f g rw",
        "2 1 0:2 / /a x - f g y",
        "² 1 0:2 / /a rw - f g rw",
        "2 ٣ 0:2 / /a rw - f g rw",
        f"{'9' * 5000} 1 0:2 / /a rw - f g rw",
    ],
)
def test_damaged_tables(text: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_mountinfo(text)


@pytest.mark.parametrize(("first", "second"), [("ro", "rw"), ("rw", "ro")])
def test_of_two_mounts_the_one_on_top_counts(first: str, second: str) -> None:
    """The later one has the earlier one as its parent, wherever it stands in the table."""
    below, above = line(10, 635, UDS, first), line(11, 10, UDS, second)
    for table in (below + above, above + below):
        found = socket_mount(parse_mountinfo(ROOT + table))
        assert found is not None
        assert (found.id, found.read_only) == (11, second == "ro")


def test_where_var_run_is_no_link_istio_looks_there() -> None:
    found = socket_mount(parse_mountinfo(line(10, 1, UDS, "ro") + line(11, 1, f"/var{UDS}", "rw")))
    assert found is not None
    assert (found.path, found.read_only) == (f"/var{UDS}", False)


def test_nothing_mounted_there() -> None:
    assert socket_mount(parse_mountinfo(ROOT + line(10, 1, f"{UDS}/deeper", "ro"))) is None
