# SPDX-License-Identifier: Apache-2.0
"""BitLocker: what protects a volume, what is refused, how a suspended one is opened. cryptsetup is the judge."""

import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import bitlocker_volume
from tests.bitlocker_volume import CLEAR, PASSWORD, RECOVERY, RECOVERY_KEY, TPM, TPM_PIN
from tests.windows_guests import WindowsFolder
from v2x.convert.guest import NOTHING_MORE
from v2x.convert.interface import GuestWishes, Refusal, Remark
from v2x.convert.windows.bitlocker import Protection, judged, metadata_blocks, protection
from v2x.convert.windows.plan import plan_windows, protected
from v2x.convert.windows.suspended import opening_of
from v2x.convert.windows.volumes import protected_volumes
from v2x.errors import InputRefused, TargetError
from v2x.secrets import Secret

CRYPTSETUP = shutil.which("cryptsetup") or "/usr/sbin/cryptsetup"
PLAIN = bytes(range(256)) * 256
VMK = bytes(32)


def made(protectors: Sequence[int]) -> bytes:
    return bitlocker_volume.volume(PLAIN, protectors)


def of(data: bytes) -> Protection:
    return protection("/dev/sda2", lambda offset, count: data[offset : offset + count])


def opens(path: Path, key: str) -> bool:
    argv = [CRYPTSETUP, "open", "--test-passphrase", "--type", "bitlk", path]
    return subprocess.run(argv, input=key, text=True, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("protectors", "sealed", "suspended", "shown"),
    [
        ((TPM, RECOVERY), True, False, "TPM, recovery password"),
        ((TPM_PIN,), True, False, "TPM and PIN"),
        ((TPM, RECOVERY, CLEAR), True, True, "none: it is suspended, TPM, recovery password"),
        ((RECOVERY, PASSWORD), False, False, "recovery password, password"),
    ],
)
def test_what_protects_a_volume(protectors: Sequence[int], sealed: bool, suspended: bool, shown: str) -> None:
    found = of(made(protectors))
    assert (found.sealed, found.suspended, found.shown) == (sealed, suspended, shown)


def test_cryptsetup_reads_the_same_protectors(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(made((TPM, RECOVERY, CLEAR)))
    dump = subprocess.run([CRYPTSETUP, "bitlkDump", path], capture_output=True, text=True, check=True).stdout
    assert [line.rpartition("with ")[2] for line in dump.splitlines() if "Protection:" in line] == [
        *("TPM", "recovery passphrase", "clear key")
    ]


def test_a_suspended_volume_is_opened_with_other_metadata(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    original = made((TPM, RECOVERY, CLEAR))
    path.write_bytes(original)
    assert not opens(path, RECOVERY_KEY)  # cryptsetup opens no volume that has a key without protection
    shown = bytearray(original)
    blocks = list(metadata_blocks(lambda offset, count: original[offset : offset + count]))
    opening = opening_of(blocks[0][1])
    assert len(blocks) == 3 and opening is not None
    for offset, block in blocks:
        assert len(opening.block) == len(block)
        shown[offset : offset + len(block)] = opening.block
    path.write_bytes(shown)
    assert opens(path, opening.key.reveal()) and not opens(path, "-".join(["000011"] * 8))


def test_nothing_opens_what_is_not_suspended() -> None:
    data = made((TPM, RECOVERY))
    ((_, block), *_) = metadata_blocks(lambda offset, count: data[offset : offset + count])
    assert opening_of(block) is None


class Guest:
    """A mounted guest with one volume, which opens as cryptsetup would open it."""

    def __init__(self, data: bytes, folder: Path) -> None:
        self.data = bytearray(data)
        self.kinds = {"/dev/sda2": "BitLocker", "/dev/sda3": "crypto_LUKS"}
        self._path = folder / "volume"
        self.unlocked: list[str] = []

    def device(self, device: str, offset: int, count: int) -> bytes:
        if offset > len(self.data):
            raise TargetError("beyond the end")
        return bytes(self.data[offset : offset + count])

    def write_device(self, device: str, offset: int, data: bytes) -> None:
        self.data[offset : offset + len(data)] = data

    def unlock(self, device: str, key: Secret) -> None:
        self._path.write_bytes(self.data)
        if not opens(self._path, key.reveal()):
            raise TargetError("no key available with this passphrase")
        self.unlocked.append(device)


def test_a_suspended_volume_is_left_as_it_was(tmp_path: Path) -> None:
    data = made((TPM, RECOVERY, CLEAR))
    guest = Guest(data, tmp_path)
    ((found, opened),) = protected_volumes(guest, ())
    assert found.suspended and opened and guest.unlocked == ["/dev/sda2"]
    assert bytes(guest.data) == data


def test_a_recovery_key_opens_a_sealed_volume(tmp_path: Path) -> None:
    guest = Guest(made((TPM, RECOVERY)), tmp_path)
    wrong = Secret("-".join(["000022"] * 8))
    ((found, opened),) = protected_volumes(guest, (wrong, Secret(RECOVERY_KEY)))
    assert found.sealed and opened
    assert protected_volumes(Guest(made((TPM, RECOVERY)), tmp_path), ()) == [(found, False)]
    with pytest.raises(InputRefused) as caught:
        protected_volumes(Guest(made((TPM, RECOVERY)), tmp_path), (wrong,))
    assert caught.value.code == "BITLOCKER-KEY" and "000022" not in str(caught.value)


@pytest.mark.parametrize(
    ("protectors", "unlocked", "confirmed", "refused", "words"),
    [
        ({TPM, RECOVERY}, False, False, True, "TPM, recovery password), and protection is not suspended"),
        ({TPM, RECOVERY}, False, True, True, "not suspended"),
        ({TPM, RECOVERY}, True, False, False, "opened with the recovery key"),
        ({TPM, CLEAR}, True, False, False, "switches it on again"),
        ({TPM, CLEAR}, False, False, False, "could not be opened"),
        ({PASSWORD}, False, False, False, "nothing in it was looked at"),
        (None, False, False, True, "unknown"),
        (None, False, True, False, "you said that it is suspended"),
    ],
)
def test_what_may_move(protectors: set[int] | None, unlocked: bool, confirmed: bool, refused: bool, words: str) -> None:
    volume = Protection(device="/dev/sda2", protectors=None if protectors is None else frozenset(protectors))
    told = judged(volume, unlocked=unlocked, confirmed=confirmed)
    assert isinstance(told, Refusal if refused else Remark)
    assert words in told.text
    if isinstance(told, Refusal):
        assert told.code == "WINDOWS-BITLOCKER" and "-rc 0" in told.remedy


def test_a_sealed_system_is_refused_and_nothing_of_it_is_proposed(guest: WindowsFolder) -> None:
    sealed = Protection(device="/dev/sda2", protectors=frozenset({TPM}))
    found = plan_windows(guest, volumes=[(sealed, False)])
    assert found is not None and found[0].changes_nothing
    assert [one.code for one in found[0].proposal.refusals] == ["WINDOWS-BITLOCKER"]
    assert protected([(sealed, True)], NOTHING_MORE).refusals == ()


@pytest.mark.parametrize("confirmed", [False, True])
def test_the_first_boot_arms_again_what_was_suspended(confirmed: bool, guest: WindowsFolder) -> None:
    volume = Protection(device="/dev/sda2", protectors=None if confirmed else frozenset({TPM, CLEAR}))
    found = plan_windows(guest, volumes=[(volume, True)], wishes=GuestWishes(bitlocker_suspended=confirmed))
    assert found is not None
    assert any(one.path.endswith("60-bitlocker.ps1") for one in found[0].proposal.edits)
    opened = plan_windows(guest, volumes=[(Protection(device="x", protectors=frozenset({TPM})), True)])
    assert opened is not None
    assert not any(one.path.endswith("60-bitlocker.ps1") for one in opened[0].proposal.edits)


def test_damaged_metadata_is_unknown_or_read_from_another_copy() -> None:
    data = bytearray(made((TPM, RECOVERY)))
    first = struct.unpack_from("<Q", data, 176)[0]
    data[first + 112 : first + 114] = b"\2\0"
    assert of(bytes(data)).sealed
    assert of(bytes(100)).protectors is None and of(bytes(4096)).protectors is None
    for number in range(3):
        at = struct.unpack_from("<Q", data, 176 + 8 * number)[0]
        data[at + 64 : at + 68] = b"\xff\xff\xff\xff"
    assert of(bytes(data)).protectors is None


def test_any_damage_ends_in_an_answer() -> None:
    whole = made((TPM, RECOVERY, CLEAR))
    numbers = random.Random(7)
    at = struct.unpack_from("<Q", whole, 176)[0]
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(numbers.randrange(1, 6)):
            place = numbers.choice([numbers.randrange(176, 200), at + numbers.randrange(0, 800)])
            data[place] = numbers.randrange(256)
        of(bytes(data))
        for _, block in metadata_blocks(lambda offset, count, data=bytes(data): data[offset : offset + count]):
            # Only what still is sealed by the key beside it takes the second that stretching takes.
            if numbers.random() < 0.002:
                opening_of(block)
