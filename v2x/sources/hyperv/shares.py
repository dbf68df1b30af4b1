# SPDX-License-Identifier: Apache-2.0
"""Disks that stay where their host has them, read over its network shares.

A disk's `files` are then the paths that the host knows (`D:\\VMs\\web\\web.vhdx`), the one in use first. A chain is
followed by identity: the parent of a disk is a file with the identity it asks for, among the files of the chain that
the host told, and otherwise among those of the folder and of the folders that were given for shares.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from v2x.disks.chain import ChainReader
from v2x.disks.interface import DiskReader
from v2x.disks.readahead import ReadAhead
from v2x.disks.smb.connection import SmbAccess
from v2x.disks.smb.listing import SmbFiles, SmbFolder
from v2x.disks.smb.paths import UncPath, places_of
from v2x.disks.smb.server import SmbServers
from v2x.errors import ConnectError, InputRefused, PermissionRefused, SourceError, UnsafeImage, Unsupported, UsageError
from v2x.model.machine import Disk, DiskBacking, Machine
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.tree import plain_names
from v2x.sources.images import describe_image, with_facts
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import file_point, file_reader, file_recheck

MOST_CANDIDATES = 4096

_IMAGES = (".vhd", ".avhd", ".vhdx", ".avhdx")


class ShareDisks:
    """Readers and points in time of disks on shares. Sessions are made when the first file is opened."""

    def __init__(self, options: ShareOptions) -> None:
        self._options = options
        self._made: SmbServers | None = None
        self._listed: dict[tuple[UncPath, ...], list[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _servers(self) -> SmbServers:
        if self._made is None:
            options = self._options
            if not options.user:
                raise UsageError(
                    "no user for the network shares that the disks are on",
                    hint=r"add --smb-user 'DOMAIN\USER'; the password comes from --source-password-file",
                )
            self._made = SmbServers(
                SmbAccess(
                    user=options.user,
                    password=options.password() if options.password is not None else None,
                    port=options.port,
                    encryption=options.encryption,
                    authentication=options.authentication,
                    timeout_seconds=options.timeout_seconds,
                    refusals=options.refusals,
                )
            )
        return self._made

    def reaches(self, path: str, hosts: Sequence[str] = ()) -> bool:
        """Whether it makes sense to look for the host's `path`, or to say why not."""
        with suppress(UnsafeImage):
            return bool(places_of(path, hosts, self._options.rules))
        return False

    def described(self, disk: Disk, hosts: Sequence[str] = ()) -> tuple[Disk, str]:
        """The disk with what its own files say: size, kind and chain; and why it cannot be read, or an empty text.

        For a disk of which only the file in use is known. Raises only for wrong options and failed logins.
        """
        try:
            files, paths = self._family(disk.files[0], hosts)
            facts = describe_image(files, [next(iter(paths))], disk.format)
        except (InputRefused, SourceError, ConnectError, PermissionRefused) as problem:
            missing = problem.code in {"MISSING-FILE", "MISSING-SHARE"}
            return replace(disk, backing=DiskBacking.MISSING if missing else disk.backing), problem.message
        if facts is None:
            return disk, f"{disk.files[0]} is of a format that is not read"
        return with_facts(disk, facts, [paths[name] for name in facts.chain]), facts.problem

    def point(self, disk: Disk, hosts: Sequence[str] = ()) -> str:
        """The point in time of a disk: of each file its size, time and write identifiers.

        SourceError SOURCE-RUNNING if the host has it open.
        """
        files, plain = self._on_shares(disk, hosts)
        return file_point(files, plain)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint, hosts: Sequence[str] = ()) -> DiskReader:
        """Opens a disk if its files are those of the checkpoint, with blocks fetched ahead on further handles."""
        files, plain = self._on_shares(disk, hosts)
        return ReadAhead(file_reader(files, machine, plain, at, local=False))

    @contextmanager
    def chain(self, machine: Machine, disk: Disk, at: Checkpoint, hosts: Sequence[str] = ()) -> Iterator[ChainReader]:
        """The disk's files as layers. Unsupported where they are none."""
        files, plain = self._on_shares(disk, hosts)
        reader = file_reader(files, machine, plain, at, local=False)
        try:
            if not isinstance(reader, ChainReader):
                raise Unsupported(f"disk {disk.label} of {machine.name} does not lie in layers", hint="migrate it cold")
            yield reader
        finally:
            reader.close()

    def recheck(self, disk: Disk, at: Checkpoint, hosts: Sequence[str] = ()) -> None:
        """SourceError if something wrote to the disk since the checkpoint, or has it open now."""
        files, plain = self._on_shares(disk, hosts)
        file_recheck(files, plain, at)

    def _on_shares(self, disk: Disk, hosts: Sequence[str]) -> tuple[SmbFiles, Disk]:
        """The files of the disk under plain names, and the disk with these names."""
        names = plain_names(disk.files)
        places = {name: self._places(path, hosts) for name, path in zip(names, disk.files, strict=True)}
        return SmbFiles(self._servers, places), replace(disk, files=tuple(names))

    def _places(self, path: str, hosts: Sequence[str]) -> tuple[UncPath, ...]:
        """Where the host's `path` may be found.

        A configuration that came as a file may name any server in a path of a disk, and whoever logs in there shows it
        what a password can be guessed from. Only servers that a person named, or a host that was logged in to, count.
        """
        places = places_of(path, hosts, self._options.rules)
        named = {rule.place.server.lower() for rule in self._options.rules}
        if places and not hosts and places[0].server.lower() not in named:
            raise InputRefused(
                f"{path} is on the file server {places[0].server}, which nobody but the configuration names",
                code="SERVER-NOT-NAMED",
                hint=f"if it is yours: --share '{_share_of(places[0])}={_share_of(places[0])}'",
            )
        if not places:
            raise InputRefused(
                f"{path} is on its host, and no share is given for it",
                code="MISSING-FILE",
                hint="say where the folder is found: --share FOLDER=\\\\SERVER\\SHARE",
            )
        return places

    def _family(self, path: str, hosts: Sequence[str]) -> tuple[SmbFiles, dict[str, str]]:
        """The file in use and every image that could be below it, and the host's paths by their plain names."""
        places = self._places(path, hosts)
        found = {str(places[0]).lower(): (path, places)}
        folder = path.replace("/", "\\").rpartition("\\")[0]
        given = [(rule.prefix.rstrip("\\"), (rule.place,)) for rule in self._options.rules]
        for prefix, folders in [(folder, tuple(place.folder for place in places)), *given]:
            for name in self._images(folders):
                there = tuple(one.child(name) for one in folders)
                if len(found) < MOST_CANDIDATES:
                    found.setdefault(str(there[0]).lower(), (f"{prefix}\\{name}", there))
        paths = [one for one, _ in found.values()]
        names = plain_names(paths)
        files = SmbFiles(self._servers, dict(zip(names, (there for _, there in found.values()), strict=True)))
        return files, dict(zip(names, paths, strict=True))

    def _images(self, folders: tuple[UncPath, ...]) -> list[str]:
        """Names of images in the first of the folders that is there; a folder that may not be listed has none.

        Asked for once: machines of one host share their folders.
        """
        if folders not in self._listed:
            self._listed[folders] = []
            for folder in folders:
                with suppress(InputRefused, SourceError, ConnectError, PermissionRefused):
                    names = SmbFolder(self._servers, folder).names()
                    self._listed[folders] = [name for name in names if name.lower().endswith(_IMAGES)]
                    break
        return self._listed[folders]

    def close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            made.close()


def _share_of(place: UncPath) -> str:
    return str(replace(place, path=""))
