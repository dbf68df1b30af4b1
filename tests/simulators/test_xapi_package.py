# SPDX-License-Identifier: Apache-2.0
"""The simulated pool out of the wheel: every profile ships, and the extra `simulate` is all it needs."""

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import xmlrpc.client
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from v2x.simulators.xapi import PROFILES

ROOT = Path(__file__).parents[2]
_STARTS_ALL = """
import sys
before = set(sys.modules)
import json, ssl, tempfile, xmlrpc.client
import v2x
from v2x.simulators.xapi import PROFILES, serve

told = {}
for name in PROFILES:
    with tempfile.TemporaryDirectory() as folder, serve(0, folder, name) as pool:
        proxy = xmlrpc.client.ServerProxy(f"https://{pool.address}", context=ssl._create_unverified_context())
        session = proxy.session.login_with_password(pool.user, pool.password)["Value"]
        told[name] = len(proxy.VM.get_all(session)["Value"])
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"from": v2x.__file__, "vms": told, "modules": sorted(loaded)}))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A folder with what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "in")
    return folder / "in"


def _name(requirement: str) -> str:
    return re.split(r"[ ;<>=!~\[(]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _needed(unpacked: Path) -> set[str]:
    """The distributions that `pip install v2x[simulate]` brings, those that they need included."""
    (told,) = unpacked.glob("v2x-*.dist-info/METADATA")
    wanted = []
    for line in told.read_text(encoding="utf-8").split("\n\n")[0].splitlines():
        key, _, value = line.partition(": ")
        if key == "Requires-Dist" and ("extra ==" not in value or "'simulate'" in value.replace('"', "'")):
            wanted.append(_name(value))
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            with contextlib.suppress(metadata.PackageNotFoundError):  # one for another system
                wanted += [_name(r) for r in metadata.requires(name) or [] if "extra ==" not in r]
    return found


def _run(unpacked: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(unpacked)}
    command = [sys.executable, "-P", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=unpacked)


def test_every_profile_starts_from_the_wheel_with_the_extra_alone(unpacked):
    process = _run(unpacked, "-c", _STARTS_ALL)
    told = json.loads(process.communicate(timeout=120)[0])
    assert told["from"].startswith(str(unpacked))
    assert set(told["vms"]) == set(PROFILES)
    assert all(count > 20 for count in told["vms"].values())
    owners = metadata.packages_distributions()
    used = {d.lower().replace("_", "-") for m in told["modules"] for d in owners.get(m, ())}
    assert used - _needed(unpacked) - {"v2x"} == set()


@contextlib.contextmanager
def _simulated(unpacked: Path, *options: str) -> Iterator[Callable[..., Any]]:
    """`v2x simulate xapi` with these options; yields a function that makes calls with a session."""
    process = _run(unpacked, "-m", "v2x", "simulate", "xapi", "--json", *options)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        address = ready["address"].partition("@")[2]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        proxy = xmlrpc.client.ServerProxy(f"https://{address}", context=context)
        session = proxy.session.login_with_password(ready["user"], ready["password"])["Value"]
        yield lambda name, *params: getattr(proxy, name)(session, *params)["Value"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert process.returncode == 0


def test_the_command_runs_from_the_wheel(unpacked):
    with _simulated(unpacked, "--profile", "xcp-ng-8.2", "--hosts", "2") as call:
        hosts = call("host.get_all_records")
        assert len(hosts) == 2
        assert {h["software_version"]["product_version"] for h in hosts.values()} == {"8.2.1"}


def test_a_fresh_pool_is_filled_once(unpacked, tmp_path):
    options = ("--state", str(tmp_path / "pool"), "--nics", "3", "--vms", "7")
    for _ in range(2):
        with _simulated(unpacked, *options) as call:
            vms = [v for v in call("VM.get_all_records").values() if "populated" in v["tags"]]
            assert len(vms) == 7
            physical = [p["device"] for p in call("PIF.get_all_records").values() if p["physical"]]
            assert sorted(physical) == ["eth0", "eth1", "eth2"]
