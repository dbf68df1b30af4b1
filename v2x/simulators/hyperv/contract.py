# SPDX-License-Identifier: Apache-2.0
"""Which script a client sent. No PowerShell runs here: a stand-in knows the two scripts by the line that names them.

A session configuration other than the usual one is a JEA endpoint: it runs named functions and no script at all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psrpcore

from v2x.simulators.hyperv.acting import Refused

_MARK = re.compile(r"^# v2x-script: (\w+) (\d+)\s*$", re.MULTILINE)
_VERSIONS = {"collect": "1", "power": "2"}
_PARAMETERS = {"collect": {"Id", "OutFile"}, "power": {"Action", "Id", "Value"}}
FUNCTIONS = {"Get-V2xInventory": "collect", "Invoke-V2xPower": "power"}


@dataclass(frozen=True, slots=True)
class Call:
    """A script by name, and its parameters."""

    script: str
    parameters: Mapping[str, Any]

    def text(self, name: str) -> str:
        value = self.parameters.get(name)
        return "" if value is None else str(value)

    def texts(self, name: str) -> list[str]:
        value = self.parameters.get(name)
        return [] if value is None else [str(one) for one in value] if isinstance(value, list) else [str(value)]


def read_call(pipeline: psrpcore.PowerShell, *, jea: bool, power: bool = True) -> Call:
    """The call of a pipeline. Refused as PowerShell would refuse it.

    Without `power` the JEA endpoint restricts the power function to telling the state of machines.
    """
    commands = list(pipeline.commands)
    if len(commands) != 1:
        raise Refused("NotSupported", f"{len(commands)} commands are not simulated")
    command = commands[0]
    if command.is_script:
        if jea:
            raise Refused(
                "ScriptsNotAllowed", "The syntax is not supported by this runspace: it is in no-language mode."
            )
        name = _script(command.command_text)
    else:
        name = FUNCTIONS.get(command.command_text, "") if jea else ""
        if not name:
            raise _unknown(command.command_text)
    given = {str(key): value for key, value in command.parameters}
    unknown = set(given) - _PARAMETERS[name]
    if unknown:
        raise Refused("NamedParameterNotFound", f"no parameter {sorted(unknown)[0]}", target=sorted(unknown)[0])
    if jea and not power and name == "power" and given.get("Action") != "state":
        text = "Das Argument gehört nicht zum ValidateSet des Parameters."
        raise Refused("ParameterArgumentValidationError,Invoke-V2xPower", text, target=str(given.get("Action")))
    return Call(name, given)


def _script(text: str) -> str:
    found = _MARK.search(text)
    if found is None or _VERSIONS.get(found.group(1)) != found.group(2):
        raise Refused("NotSupported", "only the scripts of v2x are simulated, in the version that the simulator knows")
    return found.group(1)


def _unknown(command: str) -> Refused:
    text = f'Die Benennung "{command}" wurde nicht als Name eines Cmdlet erkannt.'
    return Refused("CommandNotFoundException", text, target=command)
