"""Trying a mutation: a copy of the tree, one module replaced in it, and the module's unit tests."""

from __future__ import annotations

import ast
import compileall
import contextlib
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.mutants.points import mutated
from tests.mutants.sample import Module, Mutation

PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--tb=line")
PATIENCE, TIMES = 10.0, 5.0
"""Seconds after which the tests of a mutant are ended: so many, and so many times what they take without it."""


class Fate(Enum):
    """What became of a mutant. One that never ends was noticed: its tests cannot pass."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutation that was tried.

    Attributes:
        mutation: Which.
        fate: What became of it.
        seconds: How long its tests took.
    """

    mutation: Mutation
    fate: Fate
    seconds: float


class TestsFail(Exception):
    """The unit tests of a module fail without any mutation, so that they cannot tell anything."""

    __test__ = False


class Copy:
    """A copy of the tree that mutants are written into; the work tree is never touched.

    Args:
        root: The tree.
        place: Empty directory for the copy.
    """

    def __init__(self, root: Path, place: Path) -> None:
        self.place = place
        self._normal: dict[str, float] = {}
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=root,
            check=True,
            capture_output=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            # Without the root's conftest: it wires a certification, which costs a second and is no business of these tests.
            if name != "conftest.py" and (root / name).is_file():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, place / name)
        # By their hashes: two mutants of one size within one second would look the same by size and time.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(place, quiet=2, invalidation_mode=mode)

    def normal(self, module: Module) -> float:
        """Seconds that the tests of a module take without a mutation, written as mutants are.

        Raises:
            TestsFail: They do not pass.
        """
        if module.path not in self._normal:
            with self._with(module, ast.unparse(module.tree) + "\n"):
                began = time.monotonic()
                ended, said = self._tests(module, 600)
                if ended != 0:
                    raise TestsFail(f"{module.path}: its unit tests fail without a mutation\n{said}")
                self._normal[module.path] = time.monotonic() - began
        return self._normal[module.path]

    def tried(self, mutation: Mutation) -> Trial:
        """Tries one mutation.

        Raises:
            TestsFail: The tests of its module do not pass without it.
        """
        module = mutation.module
        if not module.tests:
            return Trial(mutation, Fate.SURVIVED, 0.0)
        limit = PATIENCE + TIMES * self.normal(module)
        with self._with(module, mutated(module.tree, mutation.point)):
            began = time.monotonic()
            ended, _ = self._tests(module, limit)
        fate = Fate.TIMED_OUT if ended is None else Fate.SURVIVED if ended == 0 else Fate.KILLED
        return Trial(mutation, fate, time.monotonic() - began)

    @contextmanager
    def _with(self, module: Module, source: str) -> Iterator[None]:
        file = self.place / module.path
        before = file.read_bytes()
        file.write_text(source, encoding="utf-8")
        try:
            yield
        finally:
            file.write_bytes(before)

    def _tests(self, module: Module, limit: float) -> tuple[int | None, str]:
        """Exit code of the tests, None where they did not end in time, and what they said."""
        process = subprocess.Popen(
            [sys.executable, *PYTEST, *module.tests],
            cwd=self.place,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "THOROUGHNESS": "nightly"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None, ""
        return process.returncode, said[-2000:]
