"""Load generator: requests at a fixed rate, with the standard library and the client beside it.

``begin`` starts a process that continues after the command returns, and prints its name and the time of this clock.
``end NAME`` stops it, waits for its last answers, and prints the ledger as one JSON document: short rows, because there are
thousands. Every request that was due is in it. A load that the suite does not end stops by itself and leaves its file.

Each request has its own connection; with ``--keep`` all share one as long as it lasts.
"""

import argparse
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import socket
import sys
import tempfile
import threading
import time

import traffic

COLUMNS = ("at_ms", "ms", "port", "status", "arrivals", "said", "error", "detail")
LOOKS = 0.05
"""Seconds between two looks at whether the load has ended."""


def now():
    """The time of this clock."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat()  # noqa: UP017 - any python3 will do


class Ledger:
    """The rows, with every text that is in them kept once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.texts = {"": 0}
        self.rows = []

    def add(self, at, entry):
        """A request as the client writes it down, made short."""
        arrivals, said = answer_of(entry)
        _, _, port = entry["connection"].rpartition(":")
        with self.lock:
            texts = [self.index(text) for text in (said, entry["error"], entry["detail"])]
            times = round(at * 1000), round(entry["seconds"] * 1000)
            self.rows.append([*times, int(port or 0), entry["status"], arrivals, *texts])

    def index(self, text):
        """Where a text is kept."""
        return self.texts.setdefault(text, len(self.texts))


def answer_of(entry):
    """How often the request had arrived, and what else the server said; 0 and the body if another server answered."""
    try:
        said = json.loads(entry["body"])
        if said["id"] == entry["id"]:
            return said["arrivals"], json.dumps({"server": said["server"], "peer": said["peer"]}, sort_keys=True)
    except (ValueError, KeyError, TypeError):
        pass  # another server answered: keep what it said
    return 0, entry["body"][:300]


class Kept:
    """Requests over one TCP connection; where it breaks, the next request opens another."""

    def __init__(self, url, timeout):
        _scheme, self.address, self.port, _path = traffic.parts_of(url)
        self.timeout = timeout
        self.connection = None
        self.answers = None

    def request(self):
        """One line there, one line back."""
        entry = traffic.blank("")
        began = time.monotonic()
        try:
            if self.connection is None:
                self.connection = socket.create_connection((self.address, self.port), self.timeout)
                self.answers = self.connection.makefile("rb")
            entry["connection"] = traffic.own_address(self.connection)
            self.connection.sendall(entry["id"].encode() + b"\n")
            line = self.answers.readline(traffic.LONGEST_BODY)
            if not line:
                raise http.client.RemoteDisconnected("closed without an answer")
            entry["body"] = line.decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException) as error:
            entry["error"], entry["detail"] = traffic.kind_of(error), f"{type(error).__name__}: {error}"
            self.close()
        entry["seconds"] = time.monotonic() - began
        return entry

    def close(self):
        """Forgets the connection."""
        if self.connection is not None:
            self.answers.close()
            self.connection.close()
        self.connection = self.answers = None


def run(directory, wanted):
    """Send requests until ``end`` stops this process, and write the ledger."""
    url, rate, keep = wanted.url, wanted.rate, wanted.keep
    ledger, kept = Ledger(), Kept(url, wanted.timeout)
    # A kept connection has one request at a time; others have as many as can be waiting for an answer.
    workers = 1 if keep else int(rate * wanted.timeout) + 8
    ask = kept.request if keep else (lambda: traffic.request(url, wanted.timeout, ""))
    began, zero = now(), time.monotonic()

    free = threading.Semaphore(workers)

    def one():
        try:
            at = time.monotonic() - zero
            ledger.add(at, ask())
        finally:
            free.release()

    stop, asked, next_at = directory / "stop", [], zero
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        while time.monotonic() < zero + wanted.seconds and not stop.exists():
            wait = next_at - time.monotonic()
            if wait > 0:
                time.sleep(min(wait, LOOKS))
                continue
            # A client that cannot keep the rate falls behind, and the ledger shows it: no request is postponed.
            if not free.acquire(timeout=LOOKS):
                continue
            asked.append(pool.submit(one))
            # After a pause the rate continues; requests that were due meanwhile do not follow in a burst.
            next_at = max(next_at + 1 / rate, time.monotonic() - 1 / rate)
    for each in asked:
        each.result()
    kept.close()
    document = {
        "client": traffic.SELF, "url": url, "rate": rate, "keep": keep, "began": began, "ended": now(),
        "due": len(asked), "columns": COLUMNS, "texts": list(ledger.texts), "rows": ledger.rows,
    }  # fmt: skip
    unfinished = directory / "unfinished"
    unfinished.write_text(json.dumps(document, separators=(",", ":")))
    unfinished.rename(directory / "ledger")


def begin(wanted):
    """Starts the process and prints where it is."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="load-"))
    child = os.fork()
    if child:
        (directory / "pid").write_text(str(child))
        print(json.dumps({"load": directory.name, "now": now()}))
        return
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    os.dup2(os.open(directory / "errors", os.O_WRONLY | os.O_CREAT), 2)
    run(directory, wanted)


def runs(pid):
    """Whether a process exists and is no zombie, which has no command line."""
    try:
        return pathlib.Path("/proc", pid, "cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def end(name, patience):
    """Stop a load and print its ledger, which has no end if its process is gone."""
    directory = pathlib.Path(tempfile.gettempdir()) / name
    (directory / "stop").touch()
    deadline = time.monotonic() + patience
    while not (directory / "ledger").exists():
        alive = runs((directory / "pid").read_text())
        if not alive or time.monotonic() > deadline:
            print((directory / "errors").read_text()[-2000:], file=sys.stderr)
            print("the load has not ended in time" if alive else "the process of the load is gone", file=sys.stderr)
            raise SystemExit(1)
        time.sleep(LOOKS)
    print((directory / "ledger").read_text())


def main():
    """The two commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    beginning = commands.add_parser("begin")
    beginning.add_argument("url", metavar="http://HOST:PORT/PATH|tcp://HOST:PORT")
    beginning.add_argument("--rate", type=float, default=20.0, help="requests a second")
    beginning.add_argument("--seconds", type=float, default=900.0, help="after which it stops by itself")
    beginning.add_argument("--timeout", type=float, default=3.0, help="seconds for a connection, and for each silence")
    beginning.add_argument("--keep", action="store_true", help="one TCP connection for all")
    ending = commands.add_parser("end")
    ending.add_argument("load")
    ending.add_argument("--patience", type=float, default=25.0, help="seconds for its last answers")
    chosen = parser.parse_args()
    if chosen.command == "begin":
        begin(chosen)
    else:
        end(chosen.load, chosen.patience)


if __name__ == "__main__":
    main()
