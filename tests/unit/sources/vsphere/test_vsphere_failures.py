# SPDX-License-Identifier: Apache-2.0
"""Every fault that is known becomes one line with a cause, a remedy and a code that has its page."""

import pytest
from pyVmomi import VmomiSupport, vim, vmodl

from v2x.causes import causes
from v2x.cli.pages import page
from v2x.errors import LoginError, PermissionRefused, SourceError
from v2x.sources.vsphere.failures import error_from


def fault(name):
    for package in ("vim.fault", "vmodl.fault", "vmodl.query"):
        try:
            return VmomiSupport.GetVmodlType(f"{package}.{name}")(msg="what the server says")
        except (AttributeError, KeyError):
            continue
    raise AssertionError(f"there is no fault {name}")


@pytest.mark.parametrize("name", sorted(causes("vsphere")))
def test_known_faults(name):
    error = error_from(fault(name), "take a snapshot", "web01")
    assert error.message.startswith("web01: take a snapshot: ") and "\n" not in error.message
    assert error.hint and error.exit_code in {4, 5, 6}
    assert page(error.code)


def test_a_fault_of_a_kind_that_is_known():
    """A more special fault is what its kind is: InvalidHostConnectionState is an InvalidHostState."""
    special = vim.fault.NoDiskSpace(datastore="ds", msg="")
    assert error_from(special).code == "SOURCE-FULL"
    assert error_from(vim.fault.FileLocked(file="x", msg="")).code == "LOCKED"


def test_an_unknown_fault_keeps_its_name_and_words():
    error = error_from(vim.fault.VimFault(msg="something odd\x1b[31m"), "do it")
    assert type(error) is SourceError and "VimFault" in error.message and "something odd" in error.message
    assert "\x1b" not in error.message and error.hint


def test_permissions_name_privilege_and_object():
    refused = vim.fault.NoPermission(
        object=vim.VirtualMachine("vm-7"), privilegeId="VirtualMachine.State.CreateSnapshot", msg=""
    )
    error = error_from(refused)
    assert isinstance(error, PermissionRefused)
    assert "VirtualMachine.State.CreateSnapshot on vm-7" in error.message


def test_a_licence_is_known_by_its_text_too():
    text = "Current license or ESXi version prohibits execution of the requested operation."
    assert error_from(vmodl.MethodFault(msg=text)).code == "READ-ONLY-LICENCE"
    assert error_from(vim.fault.RestrictedVersion(msg="")).code == "READ-ONLY-LICENCE"


def test_a_refused_login_says_nothing_of_the_server():
    error = error_from(vim.fault.InvalidLogin(msg="Cannot complete login"))
    assert isinstance(error, LoginError) and error.code == "LOGIN"
    assert error_from(vim.fault.InvalidLogin(msg="User account is locked.")).code == "ACCOUNT-LOCKED"
