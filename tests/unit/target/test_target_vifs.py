# SPDX-License-Identifier: Apache-2.0
"""The adapters of a claimed VM, against a pool that has VIF.trunks and one that has not."""

from typing import Any

import pytest

from v2x.errors import Unsupported
from v2x.model.target import TargetNic
from v2x.target.xapi.network import add_vifs


class Recorder:
    """A client that knows the VIFs given, and records what is made and removed."""

    def __init__(self, **vifs: dict[str, Any]) -> None:
        self.vifs = vifs
        self.made: list[dict[str, Any]] = []
        self.removed: list[str] = []

    def call(self, name: str, *arguments: Any) -> Any:
        if name == "VM.get_VIFs":
            return list(self.vifs)
        if name == "VIF.get_record":
            return self.vifs[arguments[0]]
        if name == "network.get_by_uuid":
            return f"ref-{arguments[0]}"
        if name == "VM.get_allowed_VIF_devices":
            return ["0", "1"]
        if name == "VIF.create":
            return self.made.append(arguments[0])
        assert name == "VIF.destroy"
        return self.removed.append(arguments[0])


def nic(**changes: Any) -> TargetNic:
    values: dict[str, Any] = {"source_position": 0, "device": "0", "network": "n", "network_name": "N"}
    return TargetNic(**values | changes)


def vif(**changes: Any) -> dict[str, Any]:
    values = {"device": "0", "network": "ref-n", "MAC": "", "locking_mode": nic().locking.value}
    return values | changes


def test_trunks_are_sent_only_where_there_are_any() -> None:
    client = Recorder()
    add_vifs(client, "vm", (nic(), nic(device="1", trunks=(10, 20))))
    assert ["trunks" in record for record in client.made] == [False, True]
    assert client.made[1]["trunks"] == [10, 20]


@pytest.mark.parametrize(
    ("present", "wanted", "kept"),
    [
        (vif(), nic(), True),
        (vif(trunks=["20", "10"]), nic(trunks=(10, 20)), True),
        (vif(trunks=[]), nic(), True),
        (vif(trunks=["10"]), nic(), False),
        (vif(), nic(trunks=(10,)), False),
        (vif(network="ref-other"), nic(), False),
        (vif(MAC="00:50:56:00:00:01"), nic(mac="00:50:56:00:00:02"), False),
        (vif(MAC="00:50:56:00:00:0A"), nic(mac="00:50:56:00:00:0a"), True),
    ],
)
def test_an_adapter_that_differs_is_made_anew(present: dict[str, Any], wanted: TargetNic, kept: bool) -> None:
    client = Recorder(v0=present)
    add_vifs(client, "vm", (wanted,))
    assert (client.removed, len(client.made)) == (([], 0) if kept else (["v0"], 1))


def test_a_device_beyond_those_of_the_pool_is_refused() -> None:
    with pytest.raises(Unsupported, match="no network device 2"):
        add_vifs(Recorder(), "vm", (nic(device="2"),))
