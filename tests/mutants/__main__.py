"""Mutation testing of `facts` and `judge`: ``python -m tests.mutants`` tries a sample and writes what survived.

The sample is the same each time, unless ``--seed`` draws another one.

Exit codes: 0 enough were killed; 1 too many survived, or the list of equivalent mutations is wrong; 4 the unit tests fail
without any mutation.

Why not a tool that exists: mutmut 3 skips whatever is decorated (properties) or outside functions (tables). cosmic-ray
mutates no texts, tables, returns or branches, changes the files of the work tree, and has one test command for all modules.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.report import WANTED, Result, equivalent
from tests.mutants.sample import SEED, Mutation, modules, sampled, thinned
from tests.mutants.trial import Copy, Fate, TestsFail, Trial

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")


def main() -> int:
    """Tries the sample, prints what became of each mutant, and writes the report."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copies are removed
    among = [m for m in modules(ROOT) if m.path.startswith(asked.only)]
    drawn = sampled(among, asked.count, asked.seed)
    mutations = thinned(drawn, asked.at_most or len(drawn), asked.seed)
    print(f"{len(mutations)} mutants of {len({m.module.path for m in mutations})} modules", flush=True)
    began = time.monotonic()
    try:
        result = Result(_tried(mutations, asked.processes), equivalent(EQUIVALENT))
    except TestsFail as error:
        print(error, file=sys.stderr)
        return 4
    took = time.monotonic() - began
    asked.report.parent.mkdir(parents=True, exist_ok=True)
    asked.report.write_text("\n".join(result.lines()) + "\n", encoding="utf-8")
    wrong = result.wrong_entries(modules(ROOT))
    for entry in wrong:
        print(f"{EQUIVALENT.name}: {entry}", file=sys.stderr)
    print(f"{result.share:.1%} killed, {len(result.survivors)} survivors, {took / max(1, len(mutations)):.2f} s a mutant")
    print(f"Report: {asked.report}")
    return int(result.share < WANTED or bool(wrong))


def _tried(mutations: list[Mutation], processes: int) -> list[Trial]:
    """All trials, in the order of the mutations; mutants of one module follow one another in one copy."""
    by_module: dict[str, list[Mutation]] = {}
    for mutation in mutations:
        by_module.setdefault(mutation.module.path, []).append(mutation)
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(processes):
            copies.put(Copy(ROOT, Path(place) / str(number)))

        def of_module(own: list[Mutation]) -> list[Trial]:
            copy = copies.get()
            try:
                trials = [copy.tried(mutation) for mutation in own]
            finally:
                copies.put(copy)
            lost = sum(t.fate is Fate.SURVIVED for t in trials)
            print(f"  {own[0].module.path:<40} {len(own) - lost} of {len(own)}", flush=True)
            return trials

        pool = ThreadPoolExecutor(processes)
        try:
            return [trial for trials in pool.map(of_module, by_module.values()) for trial in trials]
        finally:
            pool.shutdown(cancel_futures=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Mutation testing of facts and judge.")
    parser.add_argument("--count", type=int, default=320, help="mutants to draw; every module has at least three")
    parser.add_argument("--at-most", type=int, default=0, help="try only so many of them, for a quick look")
    parser.add_argument("--only", default="", help="modules whose path begins with this, such as judge/rotation")
    parser.add_argument("--seed", type=int, default=SEED, help="another number draws another sample")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "mutants.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
