# SPDX-License-Identifier: Apache-2.0
"""Disks of powered-off machines over SSH, from the files of the ESXi host itself, through nbdkit's ssh plugin.

The host's key must be known beforehand. The user's own SSH configuration is not read. nbdkit asks for one range at a
time per process, so that each thread that reads ahead has a process, and with it a connection, of its own.
Facts: nbdkit-ssh-plugin(1).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from v2x import proc
from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer, DiskReader
from v2x.disks.listing import plain_name
from v2x.disks.nbdkit import Cause, Nbdkit
from v2x.disks.readahead import ReadAhead
from v2x.disks.vmdk import open_vmdk
from v2x.disks.wrap import Retry
from v2x.errors import BadImage, ConnectError, InputRefused, LoginError, TrustError, UsageError
from v2x.errors import Retry as When
from v2x.secrets import Secret
from v2x.sources.vsphere.transports.options import SshOptions
from v2x.sources.vsphere.transports.place import DatastoreFile, DiskPlace

_ATTEMPTS: Final = 4
_WORKERS: Final = 3
_TIMEOUT: Final = 30

CAUSES: Final = (
    Cause(
        pattern=r"host key is unknown|known_hosts",
        message="the host's SSH key is not known",
        hint="compare it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_rsa_key.pub there), "
        "then add it to the file of --ssh-known-hosts",
        code="SSH-HOST-KEY",
        kind=TrustError,
    ),
    Cause(
        pattern=r"host key .*changed|host key.*(differ|mismatch)",
        message="the host shows another SSH key than the known one",
        hint="if the host was installed anew, check its key and replace the old one; else something stands between",
        code="SSH-HOST-KEY",
        kind=TrustError,
    ),
    Cause(
        pattern=r"authentication",
        message="the host refuses the SSH user, key or password",
        hint="v2x tried once; give a key with --ssh-identity, or allow passwords for SSH on the host",
        code="LOGIN",
        kind=LoginError,
    ),
    Cause(
        pattern=r"no such file",
        message="a file of the disk is not on this host ({said})",
        hint="does this host see the datastore?",
        code="MISSING-FILE",
        kind=InputRefused,
    ),
    Cause(
        pattern=r"permission denied|failure|busy",
        message="the host does not let a file be read ({said})",
        hint="is the machine shut down? a running one holds its disks locked",
        code="LOCKED",
    ),
    Cause(
        pattern=r"failed to connect|timeout|connection refused",
        message="no SSH connection to the host ({said})",
        hint="start the service SSH on the host (Host > Manage > Services), and check firewalls",
        code="SSH",
        kind=ConnectError,
        retry=When.LATER,
    ),
)


def check_options(options: SshOptions) -> Path:
    """The file of known host keys. UsageError SSH-HOST-KEY when none is given; each path is checked."""
    if options.known_hosts is None:
        raise UsageError(
            "the ssh transport needs the host's key",
            code="SSH-HOST-KEY",
            hint="ssh-keyscan HOST > known; compare it with the host's own, then give --ssh-known-hosts known",
        )
    for path in (options.known_hosts, options.identity):
        # libssh replaces %-sequences in paths.
        if path is not None and ("%" in str(path.absolute()) or not path.is_file()):
            raise UsageError(
                f"{path} is no file that SSH can be given", hint="give an existing file without % in its path"
            )
    return options.known_hosts.absolute()


def command(host: str, path: str, name: str, options: SshOptions, password: Secret | None) -> Nbdkit:
    """The nbdkit for one file of the host. Keys are tried before a password, and with a key of the user's none is."""
    identity = [("identity", str(options.identity.absolute()))] if options.identity is not None else []
    return Nbdkit(
        plugin="ssh",
        name=name,
        program=options.program,
        parameters=[
            ("host", host),
            ("port", str(options.port)),
            ("user", options.user),
            ("known-hosts", str(check_options(options))),
            ("config", ""),
            ("timeout", str(_TIMEOUT)),
            *identity,
            ("path", path),
        ],
        secret=None if options.identity is not None else options.password or password,
        causes=CAUSES,
        env={"SSH_AUTH_SOCK": options.agent} if options.agent else {},
    )


class SshSource:
    """A ByteSource over one file of the host. A clone is another nbdkit."""

    def __init__(self, made: Nbdkit) -> None:
        self._made = made
        self._reader = Retry(made.open(), _ATTEMPTS, reopen=made.open)

    @property
    def name(self) -> str:
        return self._made.name

    @property
    def size(self) -> int:
        return self._reader.size

    def read_into(self, offset: int, buffer: Buffer) -> None:
        length = len(memoryview(buffer).cast("B"))
        if offset < 0 or offset + length > self.size:
            raise BadImage(f"{self.name} ends at byte {self.size:,} where more was expected")
        self._reader.read_into(offset, buffer)

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        if length:
            yield Extent(start, length, True)

    def clone(self) -> "SshSource":
        return SshSource(self._made)

    def close(self) -> None:
        self._reader.close()


class HostFolder:
    """A Listing over one folder of a datastore, as the host has it."""

    def __init__(self, host: str, file: DatastoreFile, options: SshOptions, password: Secret | None) -> None:
        self._host, self._options, self._password = host, options, password
        self._root = "/".join(part for part in (options.volumes, file.datastore, file.folder) if part)

    def names(self) -> list[str]:
        return []

    def open(self, name: str) -> SshSource:
        path = f"{self._root}/{plain_name(name)}"
        return SshSource(command(self._host, path, name, self._options, self._password))


def open_ssh(place: DiskPlace, host: str, password: Secret | None, options: SshOptions) -> DiskReader:
    """A reader over the flat file of a disk without parents. Every byte of it counts as data."""
    proc.find_tool(options.program)
    check_options(options)
    listing = HostFolder(host, place.files[0], options, password)
    return ReadAhead(open_vmdk(listing, place.files[0].name, chain=[place.files[0].name]), workers=_WORKERS)
