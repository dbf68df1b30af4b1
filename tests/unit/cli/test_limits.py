# SPDX-License-Identifier: Apache-2.0
"""Limits as they are written on the command line and in v2x.toml."""

import pytest

from v2x.cli.limits import configured, parsed_limit
from v2x.config import load_config
from v2x.errors import UsageError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("total=8", ("total", "8")),
        ("strain.cpu=90", ("strain.cpu", "90")),
        ("strain.latency=0", ("strain.latency", "0")),
        ("strain.chains=", ("strain.chains", "")),
        ("source-host:esx=1=2", ("source-host:esx", "")),
    ],
)
def test_keys_and_values(text, found):
    if text.count("=") > 1:
        with pytest.raises(UsageError):
            parsed_limit(text)
    else:
        assert parsed_limit(text) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("strain.cpu=101", "above 100 percent"),
        ("strain.cpu=high", "no number of percent"),
        ("strain.latency=-1", "no number of milliseconds"),
        ("strain.chains=1.5", "no number of elements"),
        ("total=²", "no number of disks"),
        ("total=99999999999999999999", "no number of disks"),
    ],
)
def test_what_is_no_number(text, says):
    with pytest.raises(UsageError, match=says):
        parsed_limit(text)


def limits_of(folder, text):
    path = folder / "v2x.toml"
    path.write_text(text)
    return configured(str(path), load_config(path).limits)


def test_limits_of_a_configuration(tmp_path):
    text = '[limits]\ntotal = 4\nrate = "50M@08:00-18:00,200M"\n"source-host:esx1" = 2\nstrain.cpu = 80\n'
    assert limits_of(tmp_path, text) == {
        "total": "4", "rate": "52428800@08:00-18:00,209715200", "source-host:esx1": "2", "strain.cpu": "80",
    }  # fmt: skip
    assert limits_of(tmp_path, "") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("limits = 3", "limits must be a table"),
        ("[limits]\ntotal = true", "total must be a number or a text"),
        ("[limits]\ntotal = 1.5", "total must be a number or a text"),
        ("[limits]\nmoon = 3", r"\[limits\]: unknown limit moon"),
        ("[limits]\nstrain.moon = 3", "unknown limit strain.moon"),
        ("[limits]\nstrain.cpu = 300", "above 100"),
        ("[limits]\nstrain.cpu.high = 3", "must be a number or a text"),
        ('[limits]\nrate = "fast"', r"\[limits\]"),
    ],
)
def test_a_wrong_limit_there_is_named(tmp_path, text, says):
    with pytest.raises(UsageError, match=says):
        limits_of(tmp_path, text)
