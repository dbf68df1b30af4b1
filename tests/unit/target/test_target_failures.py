# SPDX-License-Identifier: Apache-2.0
"""Failures of the pool become errors that say what to do, and tell no secret."""

import pytest
import XenAPI

from v2x.errors import AccessError, Conflict, LoginError, NoSpace, PermissionRefused, Retry, TargetError, Unsupported
from v2x.target.xapi.failures import PoolMember, error_from, failure_to_error, xapi_code


@pytest.mark.parametrize(
    ("details", "kind", "words"),
    [
        (["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""], NoSpace, "no room"),
        (["RBAC_PERMISSION_DENIED", "vm.create", "No permission"], PermissionRefused, "vm.create"),
        (["SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure"], LoginError, "refused"),
        (["VM_BAD_POWER_STATE", "OpaqueRef:1", "halted", "running"], Conflict, "running, not halted"),
        (["SR_BACKEND_FAILURE_79", "", "VDI Invalid size [opterr=…]", ""], Unsupported, "VDI Invalid size"),
        (["HOST_NOT_ENOUGH_FREE_MEMORY", "100", "50"], TargetError, "100 bytes needed, 50 free"),
        (["MAC_INVALID"], Unsupported, "unknown"),
        (["SOMETHING_NEW", "a", "", "b"], TargetError, "SOMETHING_NEW (a, b)"),
        ([], TargetError, "UNKNOWN"),
    ],
)
def test_code_decides_class_and_text(details: list[str], kind: type, words: str) -> None:
    error = error_from(details, "VM.create")
    assert type(error) is kind
    assert words in error.message
    assert error.message.startswith("VM.create: ")


def test_busy_is_worth_another_try_and_space_is_not() -> None:
    assert error_from(["OTHER_OPERATION_IN_PROGRESS", "VDI", "r", "t"]).retry is Retry.LATER
    assert error_from(["VDI_IN_USE"]).retry is Retry.LATER
    assert error_from(["SR_BACKEND_FAILURE_44"]).retry is Retry.NEVER


def test_references_never_reach_a_message() -> None:
    secret = "OpaqueRef:1b8e1d9a-4f63-4b6a-9a4b-0f2f7b0a77aa"
    error = error_from(["HANDLE_INVALID", "session", secret], "VM.start")
    assert secret not in error.message and "1b8e1d9a" not in error.message


def test_text_of_the_pool_is_made_printable() -> None:
    assert "\x1b" not in error_from(["OPERATION_NOT_ALLOWED", "\x1b]0;x\x07"]).message


def test_code_is_read_from_the_cause() -> None:
    failure = XenAPI.Failure(["MAP_DUPLICATE_KEY", "VM", "other_config", "r", "k"])
    with pytest.raises(TargetError) as caught:
        raise failure_to_error(failure) from failure
    assert xapi_code(caught.value) == "MAP_DUPLICATE_KEY"
    assert xapi_code(TargetError("x")) == ""


def test_pool_member_names_the_coordinator() -> None:
    error = PoolMember("10.0.0.2", "10.0.0.1")
    assert isinstance(error, AccessError)
    assert (error.code, error.retry) == ("NOT-COORDINATOR", Retry.NEVER)
    assert "10.0.0.1" in error.hint and "10.0.0.2" in error.message
