# SPDX-License-Identifier: Apache-2.0
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from v2x.engine import dispatch, strain
from v2x.engine.control import Control
from v2x.engine.live import Actor
from v2x.engine.metrics import MetricsServer, metrics_text
from v2x.target.interface import Load, StorageLoad

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_batches_as_metrics_over_loopback(estate):
    store = estate.store()
    estate.submit(store, [estate.order(number, host='es"x') for number in range(6)])
    with store.exclusive("dispatch") as connection:
        dispatch.claim(connection, "w", 9, NOW)
    control = Control(store, Actor(user="u", worker="", version="0"), estate_time)
    with MetricsServer(0, lambda: [control.status(one) for one in control.batches()]) as server:
        url = f"http://127.0.0.1:{server.port}"
        text = urllib.request.urlopen(f"{url}/metrics").read().decode()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}/")
    assert 'v2x_batch_machines{batch="b1",state="running"} 4' in text
    assert 'v2x_batch_machines{batch="b1",state="waiting"} 2' in text
    assert 'v2x_slots_used{key="source-host:es\\"x"} 4' in text
    for line in text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2


def estate_time():
    from datetime import UTC, datetime

    return datetime(2026, 1, 1, tzinfo=UTC)


def test_strain_as_metrics_and_nothing_of_what_was_not_measured(estate):
    store = estate.store()
    estate.submit(store, [estate.order(number, host=f"esx{number}") for number in range(8)])
    control = Control(store, Actor(user="u", worker="", version="0"), estate_time)
    with store.exclusive("dispatch") as connection:
        dispatch.claim(connection, "w", 9, NOW)
        found = strain.burdened(dispatch.running_orders(connection, "pool"))
        load = Load(storage={"sr": StorageLoad(latency_seconds=0.08)})
        strain.apply(connection, "pool", found, load, NOW)
    text = metrics_text([control.status(control.batch())])
    assert 'v2x_strain_latency_seconds{key="sr:pool/sr"} 0.08\n' in text
    assert 'v2x_strain_disks_allowed{key="sr:pool/sr"} 4\n' in text
    assert 'v2x_strain_disks_allowed{key="pool-host:pool"} 8\n' in text
    assert 'v2x_strain_halvings{key="sr:pool/sr"} 1\n' in text
    assert "v2x_strain_cpu_ratio{" not in text
    assert "v2x_strain_chains{" not in text


def test_without_batches_it_is_still_well_formed():
    text = metrics_text([])
    assert "v2x_workers 0" in text
    assert text.endswith("\n")
