# SPDX-License-Identifier: Apache-2.0
"""The PowerShell scripts that ship with v2x, and the files of a JEA endpoint that offers nothing but them.

A just-enough-administration endpoint runs no script it is sent. There the scripts are functions of the endpoint: what
the account may do on the host is then exactly what stands in these two files.
"""

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """`file` is its name here, `function` what a JEA endpoint calls it."""

    file: str
    function: str

    @property
    def text(self) -> str:
        return files("v2x.sources.hyperv").joinpath(self.file).read_text(encoding="utf-8")


COLLECT = Script("collect.ps1", "Get-V2xInventory")
POWER = Script("power.ps1", "Invoke-V2xPower")
CONFIGURATION = "v2x"

_CAPABILITY = """\
@{{
    # SPDX-License-Identifier: Apache-2.0
    # What members of the role may run: the scripts of v2x, and nothing else.
    GUID = '7d7f5f2e-6f0e-4a52-9f0a-6f7b6b2d1f10'
    ModulesToImport = @('Hyper-V')
    VisibleFunctions = @({visible})
    FunctionDefinitions = @(
{functions}    )
}}
"""
_SESSION = """\
@{{
    # SPDX-License-Identifier: Apache-2.0
    # Replace CONTOSO\\v2x by the group or account that v2x logs in as, then, in an elevated PowerShell:
    #     $role = "$env:ProgramFiles\\WindowsPowerShell\\Modules\\v2x\\RoleCapabilities"
    #     New-Item -ItemType Directory -Force -Path $role; Copy-Item .\\v2x.psrc $role
    #     Register-PSSessionConfiguration -Name {name} -Path .\\v2x.pssc -Force
    SchemaVersion = '2.0.0.0'
    GUID = '1e0a4c8f-0c1f-4b5e-8a55-3b0f5f7c2d21'
    SessionType = 'RestrictedRemoteServer'
    RunAsVirtualAccount = $true
    RoleDefinitions = @{{ 'CONTOSO\\v2x' = @{{ RoleCapabilities = 'v2x' }} }}
}}
"""


def endpoint_files(*, power: bool) -> dict[str, str]:
    """Files of a JEA endpoint by name. Without `power` the power script may only tell the state of a machine."""
    functions = "".join(
        f"        @{{ Name = '{script.function}'; ScriptBlock = {{\n{_body(script.text)}\n        }} }}\n"
        for script in (COLLECT, POWER)
    )
    told = "" if power else "; ValidateSet = 'state'"
    parameters = f"@{{ Name = 'Action'{told} }}, @{{ Name = 'Id' }}, @{{ Name = 'Value' }}"
    visible = f"'{COLLECT.function}', @{{ Name = '{POWER.function}'; Parameters = {parameters} }}"
    return {
        "v2x.psrc": _CAPABILITY.format(visible=visible, functions=functions),
        "v2x.pssc": _SESSION.format(name=CONFIGURATION),
    }


def _body(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))
