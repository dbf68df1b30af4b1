# SPDX-License-Identifier: Apache-2.0
"""What a person should know of a Windows guest and what is not changed in it."""

from collections.abc import Iterator

from v2x.convert.interface import Proposal, Remark
from v2x.convert.registry import Hive
from v2x.convert.windows.view import WindowsView

_SERVICING = "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing"
_UPDATE = "Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update"
_KMS = "Microsoft\\Windows NT\\CurrentVersion\\SoftwareProtectionPlatform"
_PRODUCT = "Microsoft\\Windows NT\\CurrentVersion"
_POLICY = "Policies\\Microsoft\\Windows\\PowerShell"
_HELLO = "ServiceProfiles/LocalService/AppData/Local/Microsoft/Ngc"
_TPM_KEYS = "/ProgramData/Microsoft/Crypto/PCPKSP"


def notes(view: WindowsView) -> Proposal:
    ways = (_pending, _dynamic, _controller, _licence, _scripts, _tpm)
    return Proposal(remarks=tuple(one for way in ways for one in way(view)))


def _pending(view: WindowsView) -> Iterator[Remark]:
    """Updates that wait for a restart: they are finished by the first boot on the pool, which then takes longer."""
    waiting = []
    if view.find(f"{view.facts.root}/WinSxS/pending.xml"):
        waiting.append("an update to be finished (WinSxS\\pending.xml)")
    if view.registry.values(Hive.SOFTWARE, f"{_SERVICING}\\RebootPending") is not None:
        waiting.append("a component to be installed")
    if view.registry.values(Hive.SOFTWARE, f"{_UPDATE}\\RebootRequired") is not None:
        waiting.append("a restart for Windows Update")
    if view.setting("Control\\Session Manager", "PendingFileRenameOperations") is not None:
        waiting.append("files to be replaced")
    if waiting:
        yield Remark(
            text=f"updates are pending: {', '.join(waiting)}",
            remedy="restart it at the source until none is, then shut it down; else they run at the first boot here",
        )


def _dynamic(view: WindowsView) -> Iterator[Remark]:
    if view.dynamic_disks:
        yield Remark(
            text=f"{view.dynamic_disks} of its disks are dynamic disks (LDM)",
            remedy="all of them have to move together; if Disk Management calls one foreign, import it there",
        )


def _controller(view: WindowsView) -> Iterator[Remark]:
    if view.facts.product_type.casefold() == "lanmannt":
        yield Remark(
            text="this is a domain controller",
            remedy="move it cold, while the old one stays off for good; never start a test copy in its network, and "
            "never go back once others have replicated with it",
        )


def _licence(view: WindowsView) -> Iterator[Remark]:
    product = view.software(_PRODUCT, "ProductId")
    if view.software(_KMS, "KeyManagementServiceName") is not None:
        return  # it finds its licence server again by itself
    oem = product is not None and "OEM" in product.text
    yield Remark(
        text="Windows may ask to be activated again on other hardware"
        + (", and its licence is of the OEM kind, which belongs to the old hardware" if oem else ""),
        remedy="have its key, or a KMS server, at hand; keeping MACs and SMBIOS strings (--bios-strings) helps",
    )


def _scripts(view: WindowsView) -> Iterator[Remark]:
    policy = view.software(_POLICY, "ExecutionPolicy")
    if policy is not None and policy.text in ("AllSigned", "Restricted"):
        yield Remark(
            text=f"a policy lets PowerShell run no script of ours ({policy.text})",
            remedy="change the policy before the first boot, or do by hand what the scripts in "
            "C:\\Program Files\\v2x\\firstboot would do",
        )


def _tpm(view: WindowsView) -> Iterator[Remark]:
    """What is of no use without the old TPM, which never moves."""
    held = []
    if view.names(f"{view.facts.root}/{_HELLO}"):
        held.append("Windows Hello PINs")
    if view.names(_TPM_KEYS):
        held.append("keys and certificates of the Platform Crypto Provider")
    if view.registry.subkeys(Hive.SYSTEM, f"{view.control_set}\\Control\\CloudDomainJoin\\JoinInfo"):
        held.append("its registration with Entra ID")
    guard = view.setting("Control\\Lsa", "LsaCfgFlags")
    if guard is not None and guard.number:
        held.append("secrets of Credential Guard")
    if held:
        yield Remark(
            text=f"a TPM may hold {', '.join(held)}: none of it comes with the disks",
            remedy="have passwords at hand, export certificates where that is allowed, and set these up again",
        )
