# SPDX-License-Identifier: Apache-2.0
"""A signal while the program still loads: an exit code, and no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOADS = """
import builtins, sys
real = builtins.__import__
def slow(name, *rest, **more):
    if name == "v2x.cli":
        print("loading", flush=True)
        sys.stdin.readline()
    return real(name, *rest, **more)
builtins.__import__ = slow
sys.argv = ["v2x", "explain", "OWNED"]
from v2x.__main__ import main
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_loads(number, code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen([sys.executable, "-c", LOADS], env=environment, text=True, **pipes)
    assert running.stdout.readline() == "loading\n"
    running.send_signal(number)
    out, err = running.communicate(timeout=10)
    assert (running.returncode, out, err) == (code, "", "")


LOSES = """
import signal, weakref, os, sys
import v2x.cli
class Held: ...
def run(arguments):
    held = Held()
    keep = weakref.ref(held, lambda _: os.kill(os.getpid(), int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, v2x.cli._terminated)
    del held
    return 0
v2x.cli.run = run
from v2x.__main__ import main
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_within_a_callback_of_pythons_own_is_not_lost(number, code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", LOSES, str(int(number))]
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", "")


STRIKES = """
import os, signal
from sqlalchemy import Integer, TypeDecorator, create_engine, literal, select
import v2x.cli.commands
class Struck(TypeDecorator):
    impl, cache_ok = Integer, True
    def process_bind_param(self, value, dialect):
        os.kill(os.getpid(), signal.SIGTERM)
        return value
def app(**given):
    with create_engine("sqlite://").connect() as database:
        database.execute(select(literal(1, Struck)))
v2x.cli.commands.app = app
from v2x.__main__ import main
main()
"""


def test_a_signal_while_the_database_is_asked_is_no_error_of_the_database():
    """SQLAlchemy wraps each Exception that comes while a statement is made into one of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", STRIKES]
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 143, ran.stderr
    assert "terminated [INTERRUPTED]" in ran.stderr and "try: run the same command again" in ran.stderr
    assert "Traceback" not in ran.stderr and "V2X-BUG" not in ran.stderr
