# SPDX-License-Identifier: Apache-2.0
"""The ssh transport against a real sshd."""

import re
import subprocess
from dataclasses import replace

import pytest

from tests import sshd
from tests.images import ImageWriter, patterned
from tests.places import content, place_for
from v2x.errors import BadImage, ConnectError, InputRefused, LoginError, TrustError, UsageError
from v2x.secrets import Secret
from v2x.sources.vsphere.transports.options import SshOptions
from v2x.sources.vsphere.transports.place import DatastoreFile
from v2x.sources.vsphere.transports.ssh import check_options, command, open_ssh

MIB = 1 << 20
SIZE = 6 * MIB
RAW = patterned(SIZE, [(0, 70_000), (3 * MIB, MIB), (SIZE - 512, 512)])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with sshd.running(tmp_path_factory.mktemp("ssh") / "sshd") as running:
        yield running


@pytest.fixture
def options(server, tmp_path):
    volume = tmp_path / "volumes" / "ssd 1" / "web 01"
    volume.mkdir(parents=True)
    ImageWriter(volume).flat("web 01.vmdk", RAW)
    return SshOptions(
        known_hosts=server.known,
        identity=server.identity,
        user=server.user,
        port=server.port,
        volumes=str(tmp_path / "volumes"),
    )


def opened(options, password=None):
    place = place_for(snapshot_ref=None, powered_on=False, capacity_bytes=SIZE)
    return open_ssh(place, "127.0.0.1", password, options)


def test_a_flat_disk_byte_for_byte(options):
    reader = opened(options)
    assert content(reader) == RAW
    assert [tuple(one) for one in reader.extents(0, SIZE)] == [(0, SIZE, True)]
    reader.close()


def test_an_agent_holds_the_key_instead(options, server):
    said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    agent, pid = re.search(r"SSH_AUTH_SOCK=([^;]+)", said)[1], re.search(r"SSH_AGENT_PID=(\d+)", said)[1]
    try:
        subprocess.run(["ssh-add", "-q", server.identity], env={"SSH_AUTH_SOCK": agent}, check=True)
        reader = opened(replace(options, identity=None, agent=agent))
        assert content(reader) == RAW
        reader.close()
    finally:
        subprocess.run(
            ["ssh-agent", "-k"], env={"SSH_AGENT_PID": pid, "SSH_AUTH_SOCK": agent}, capture_output=True, check=False
        )


@pytest.mark.parametrize("which", ["wrong", "empty"])
def test_another_or_an_unknown_host_key_is_refused_before_a_login(options, server, tmp_path, which):
    (tmp_path / "empty").touch()
    known = server.wrong if which == "wrong" else tmp_path / "empty"
    before = server.log.read_text().count("Accepted")
    with pytest.raises(TrustError, match="SSH key") as refused:
        opened(replace(options, known_hosts=known))
    assert refused.value.code == "SSH-HOST-KEY"
    assert server.log.read_text().count("Accepted") == before


def test_a_key_that_may_not_is_refused(options, server):
    with pytest.raises(LoginError, match="refuses the SSH user, key or password"):
        opened(replace(options, identity=server.stranger))


def test_a_password_is_sent_once_and_only_where_there_is_no_key(options, server, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    before = server.log.read_text().count("Failed password")
    with pytest.raises(LoginError):
        opened(replace(options, identity=None), Secret("not it"))
    assert server.log.read_text().count("Failed password") == before + 1
    assert command("h", "/p", "n", options, Secret("x")).secret is None
    assert (
        command("h", "/p", "n", replace(options, identity=None, password=Secret("y")), Secret("x")).secret.reveal()
        == "y"
    )


def test_the_password_is_not_on_the_command_line(options):
    made = command("h", "/p", "n", replace(options, identity=None), Secret("s3cret"))
    assert "s3cret" not in " ".join(made.argv(sshd.Path("/s"), 9))
    assert "password=-9" in made.argv(sshd.Path("/s"), 9)


def test_a_missing_file_is_named(options):
    place = place_for(files=(DatastoreFile("ssd 1", "web 01/gone.vmdk"),))
    with pytest.raises(InputRefused, match=r"gone\.vmdk") as refused:
        open_ssh(place, "127.0.0.1", None, options)
    assert refused.value.code == "MISSING-FILE"


def test_a_truncated_flat_file_is_refused(options):
    flat = sshd.Path(options.volumes) / "ssd 1" / "web 01" / "web 01-flat.vmdk"
    flat.write_bytes(RAW[:-512])
    with pytest.raises(BadImage, match="holds"):
        opened(options)


def test_no_ssh_service_says_how_to_start_it(options):
    with pytest.raises(ConnectError, match="no SSH connection") as refused:
        opened(replace(options, port=1))
    assert "SSH" in refused.value.hint


@pytest.mark.parametrize("name", ["per%cent", "gone"])
def test_key_files_are_checked(options, tmp_path, name):
    (tmp_path / "per%cent").touch()
    with pytest.raises(UsageError, match="is no file that SSH can be given"):
        check_options(replace(options, known_hosts=tmp_path / name))
    with pytest.raises(UsageError, match="needs the host's key") as refused:
        check_options(replace(options, known_hosts=None))
    assert refused.value.code == "SSH-HOST-KEY"
