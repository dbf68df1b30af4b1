# SPDX-License-Identifier: Apache-2.0
"""The catalogue knows what the servers can answer that v2x speaks with, and errors are told by it."""

import ast
import re

import pytest
from pyVmomi import VmomiSupport
from smbprotocol.exceptions import SMBResponseException
from smbprotocol.header import NtStatus, SMB2HeaderResponse

from tests.codes import ROOT
from v2x.causes import cause, causes, found_in
from v2x.disks.nbdkit import explained
from v2x.disks.smb import connection as smb
from v2x.disks.smb.paths import UncPath
from v2x.errors import NoSpace, Retry, SourceError, TargetError
from v2x.simulators.xapi.datamodel import load
from v2x.sources.vsphere.transports.vddk import CAUSES
from v2x.target.xapi.failures import BUSY, GONE, error_from

VERSIONS = ("1.249", "24.19", "25.6", "25.33", "26.1", "head")
# Answers to calls that v2x never makes: accounts, certificates, licences, hosts, adapters, moves of running machines.
NEVER_CALLED = {
    "bond", "certificates", "host_power", "introduction", "licensing", "migration", "pif", "pool_life",
    "pool_settings", "rbac", "snapshot", "sr", "trust", "tunnel", "vm_suspend",
}  # fmt: skip
NEVER_MET = {"CHANGE_PASSWORD_REJECTED", "NOT_SYSTEM_DOMAIN", "SYSPREP", "VBD_NOT_EMPTY"}


def declared():
    return frozenset().union(*(load(version).errors for version in VERSIONS))


def answered():
    """The declared codes that the simulated pool answers with where v2x may call, and who does."""
    known, found = declared(), {}
    for file in (ROOT / "v2x/simulators/xapi").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and node.value in known and file.stem not in NEVER_CALLED:
                found[node.value] = file.name
    return found


def test_every_answer_that_the_simulated_pool_can_give_to_v2x_has_a_row():
    found = answered()
    assert len(found) > 60
    missing = {code: file for code, file in found.items() if cause("xapi", code) is None}
    assert missing.keys() <= NEVER_MET, missing


def test_every_code_that_v2x_itself_acts_on_has_a_row():
    text = "\n".join(file.read_text("utf-8") for file in (ROOT / "v2x/target").rglob("*.py"))
    named = set(re.findall(r'"([A-Z]+(?:_[A-Z0-9]+)+)"', text)) & declared()
    assert len(named) > 12
    assert {code for code in named | BUSY | GONE if cause("xapi", code) is None} == set()


def test_no_row_is_of_a_code_that_xapi_does_not_have():
    storage = re.compile(r"SR_BACKEND_FAILURE_\d{1,3}")
    assert {code for code in causes("xapi") if not storage.fullmatch(code)} <= declared()


@pytest.mark.parametrize("code", sorted(causes("xapi")))
def test_every_row_of_xapi_is_told_in_one_line_and_stays_an_error_of_the_pool(code):
    error = error_from([code, "one", "two", "three"], "VM.start")
    assert error.message.startswith("VM.start: ") and "\n" not in error.message and "{" not in error.message
    assert error.hint and error.exit_code in {4, 5, 6}
    assert error_from([code]).message, "parameters may be missing"


def test_a_storage_failure_without_a_row_says_where_to_look():
    error = error_from(["SR_BACKEND_FAILURE_417", "", "something odd [opterr=x]", ""])
    assert type(error) is TargetError and "something odd" in error.message and "SMlog" in error.hint


def test_a_full_storage_is_no_space_and_a_lost_lock_comes_back():
    assert isinstance(error_from(["SR_BACKEND_FAILURE_180", "", "x", ""]), NoSpace)
    assert error_from(["SR_BACKEND_FAILURE_201", "", "x", ""]).retry is Retry.LATER
    assert error_from(["SR_BACKEND_FAILURE_200", "", "x", ""]).retry is Retry.NEVER


def faults():
    """The faults that vSphere's stand-in raises, by name."""
    text = "\n".join(file.read_text("utf-8") for file in (ROOT / "v2x/simulators/vsphere").rglob("*.py"))
    return set(re.findall(r"(?:vim|vmodl)\.fault\.(\w+)", text))


def kinds(name):
    for package in ("vim.fault", "vmodl.fault", "vmodl.query"):
        try:
            made = VmomiSupport.GetVmodlType(f"{package}.{name}")
        except (AttributeError, KeyError):
            continue
        return [kind.__name__.rpartition(".")[2] for kind in made.__mro__]
    raise AssertionError(f"there is no fault {name}")


def test_every_fault_that_the_stand_in_raises_is_known_by_itself_or_its_kind():
    found = faults()
    assert len(found) > 15
    unknown = {name for name in found if not any(cause("vsphere", kind) for kind in kinds(name))}
    assert unknown <= {"InvalidDeviceOperation", "InvalidName"}, "answers to changes that v2x does not make"


def test_vsphere_says_of_a_more_special_fault_what_its_kind_means():
    found = kinds("InvalidHostConnectionState")
    assert found.index("InvalidHostConnectionState") < found.index("InvalidHostState") < found.index("InvalidState")
    assert cause("vsphere", "MethodFault") is None, "a row for all faults would hide what the server says"


@pytest.mark.parametrize("number", [int(id_.removeprefix("VDDK-")) for id_ in causes("vddk")])
@pytest.mark.parametrize("form", ["VixDiskLib_Open: Unknown error (code {})", "read failed, Error {}", "error [{}]"])
def test_a_number_of_vddk_is_told_by_its_row(number, form):
    if number in {6, 13}:  # their texts are known longer than their numbers
        return
    printed = f"nbdkit: vddk[1]: error: {form.format(number)}"
    error = explained(printed, CAUSES, "web01")
    assert error is not None
    assert (error.hint, error.code) == (cause("vddk", number).do, cause("vddk", number).reported)


def test_the_number_of_a_connection_is_no_error_of_vddk():
    assert explained("nbdkit: vddk[1]: error: something odd", CAUSES, "web01") is None
    assert explained("nbdkit: vddk[3]: error: 130 things", CAUSES, "web01") is None


@pytest.mark.parametrize("status", sorted({*smb._REFUSALS, *smb._LOGIN, *smb._GONE}))
def test_every_status_that_smb_is_told_of_has_a_row_that_agrees(status):
    found = cause("windows", int(status))
    assert found is not None, hex(status)
    names = {value: name for name, value in vars(NtStatus).items() if name.startswith("STATUS_")}
    assert found.name == names.get(status, found.name)
    if status in smb._REFUSALS:
        kind, code, *_ = smb._REFUSALS[status]
        assert found.reported == (code or kind.code)
    elif status in smb._LOGIN:
        assert found.line == smb._LOGIN[status] and found.reported == "LOGIN"


def refusal(status):
    header = SMB2HeaderResponse()
    header["status"] = status
    return smb.refused(SMBResponseException(header), UncPath(server="files", share="vms", path="web01.vhdx"))


def test_a_status_without_a_rule_of_its_own_is_told_by_its_row():
    error = refusal(0xC0000185)
    assert type(error) is SourceError
    assert "could not read its disk" in error.message and "0xc0000185" in error.message
    assert error.hint == cause("windows", 0xC0000185).do
    assert "event log" in refusal(0xC00001FF).hint, "one that nobody knows"


def test_a_number_is_found_in_every_notation():
    for text in ("0x80338029", "2150858793", "-2144108503", "ERROR_WSMAN_OPERATION_TIMEDOUT"):
        assert [one.id for one in found_in(text)] == ["0x80338029"]
    assert found_in("") == [] and found_in("7") == []
