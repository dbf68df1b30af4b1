# SPDX-License-Identifier: Apache-2.0
"""A plan with two servers, each with its own password: none ever sees that of the other."""

from contextlib import ExitStack

import pytest

from v2x.simulators.hyperv.service import HyperV

NETWORK = "Pool-wide network associated with eth0"


@pytest.fixture
def two(tmp_path):
    with ExitStack() as stack:
        yield [stack.enter_context(HyperV(tmp_path / name)) for name in ("one", "two")]


@pytest.fixture
def config(bench, two, tmp_path):
    """v2x.toml with the sources hv-1 and hv-2, and no secret of either."""
    lines = []
    for number, served in enumerate(two, 1):
        rules = ", ".join(f"'{rule}'" for rule in served.rules)
        lines += [f"[source.hv-{number}]", f'address = "{served.address}"', f'fingerprint = "{served.fingerprint}"']
        lines += [f"shares = [{rules}]"]
    path = tmp_path / "v2x.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def draft(bench, *words):
    return bench.v2x(
        "plan", "draft", "hv-1", "hv-2", "--target", bench.target, "-o", "plan.csv", "--network", f"*={NETWORK}",
        "--select", "old01", *words,
    )  # fmt: skip


def logins(two):
    return [len(served.ledger.of("login")) for served in two]


def test_a_password_without_an_alias_goes_to_none_of_two(bench, two, config, monkeypatch):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", two[0].password)
    ran = draft(bench)
    assert ran.code == 5
    assert "the source hv-1: there are 2 sources, and V2X_SOURCE_PASSWORD is for a single source" in ran.err
    assert "--source-password-file hv-1=FILE" in ran.err
    assert "V2X_SOURCE_PASSWORD_HV_1" in ran.err
    assert logins(two) == [0, 0]


def test_each_gets_its_own_from_a_file_or_a_variable(bench, two, config, monkeypatch, tmp_path):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "wrong for both")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD_HV_1", two[0].password)
    file = tmp_path / "two.pw"
    file.write_text(two[1].password)
    file.chmod(0o600)
    own = ("--source-password-file", f"hv-2={file}")
    ran = draft(bench, *own)
    assert ran.code == 0, ran.err
    assert min(logins(two)) > 0
    typo = bench.v2x("plan", "check", "plan.csv", "--source-password-file", f"hv2={file}")
    assert typo.code == 2
    assert "there is no source hv2" in typo.err
    assert "hv-1, hv-2" in typo.err
    general = bench.v2x("plan", "check", "plan.csv", "--source-password-file", file, *own)
    assert general.code == 2
    assert "is for a single source, and there are 2 [SECRET-FOR-ONE]" in general.err
