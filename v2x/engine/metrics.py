# SPDX-License-Identifier: Apache-2.0
"""Batches as Prometheus metrics, in the text format 0.0.4, over HTTP on loopback."""

import http.server
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from v2x.model.batch import BatchStatus, Strain

_log = logging.getLogger("v2x.engine")


def metrics_text(statuses: list[BatchStatus]) -> str:
    """One family after the other, each with its samples of all batches."""
    lines: list[str] = []
    for name, kind, what, samples in _families(statuses):
        lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}", *samples]
    return "\n".join(lines) + "\n"


def _families(statuses: list[BatchStatus]) -> Iterator[tuple[str, str, str, list[str]]]:
    machines = []
    for status in statuses:
        counted = Counter(str(row.migration.outcome) if row.state == "ended" else row.state for row in status.rows)
        machines += [
            f'v2x_batch_machines{{batch="{status.id}",state="{state}"}} {count}' for state, count in counted.items()
        ]
    yield "v2x_batch_machines", "gauge", "Machines of a batch by state or outcome.", machines
    for name, what, value in (
        ("v2x_batch_size_bytes", "Bytes to copy in all.", lambda one: one.size_bytes),
        ("v2x_batch_copied_bytes", "Bytes copied so far.", lambda one: one.copied_bytes),
        ("v2x_batch_rate_bytes_per_second", "Bytes per second of all copies under way.", lambda one: one.rate_bytes),
        ("v2x_batch_paused", "1 while the batch is paused.", lambda one: int(one.paused)),
        ("v2x_batch_source_alarms", "Migrated machines whose stopped source runs again.", _alarms),
        ("v2x_batch_health_failed", "Migrated machines that failed their health check.", _ill),
    ):
        yield name, "gauge", what, [f'{name}{{batch="{one.id}"}} {value(one):.15g}' for one in statuses]
    used = (
        [f'v2x_slots_used{{key="{_label(key)}"}} {count}' for key, count in statuses[0].used.items()]
        if statuses
        else []
    )
    yield "v2x_slots_used", "gauge", "Disks in flight by limit.", used
    yield from _strain(statuses[0].strain if statuses else ())
    yield (
        "v2x_workers",
        "gauge",
        "Workers that are alive.",
        [f"v2x_workers {len(statuses[0].workers) if statuses else 0}"],
    )


_MEASURED = {
    "cpu": ("v2x_strain_cpu_ratio", "Share of its CPU that a control domain uses.", 0.01),
    "latency": ("v2x_strain_latency_seconds", "Time that a request to an SR takes.", 0.001),
    "chains": ("v2x_strain_chains", "Elements of disk chains that wait to be coalesced on an SR.", 1.0),
}


def _strain(found: Sequence[Strain]) -> Iterator[tuple[str, str, str, list[str]]]:
    """What was not measured has no sample."""
    for what, (name, says, factor) in _MEASURED.items():
        values = [(one.key, one.measured.get(what)) for one in found]
        samples = [_sample(name, key, value * factor) for key, value in values if value is not None]
        yield name, "gauge", says, samples
    held: dict[str, tuple[str, list[int]]] = {
        "v2x_strain_halvings": ("How often rate and disks are halved for strain.", [one.halvings for one in found]),
        "v2x_strain_disks_allowed": ("Disks that may be in flight, 0 for any.", [one.disks for one in found]),
        "v2x_strain_rate_bytes_per_second": ("Rate allowed for strain, 0 for any.", [one.rate_bytes for one in found]),
    }
    for name, (says, numbers) in held.items():
        yield name, "gauge", says, [_sample(name, one.key, count) for one, count in zip(found, numbers, strict=True)]


def _sample(name: str, key: str, value: float) -> str:
    return f'{name}{{key="{_label(key)}"}} {value:.15g}'


def _alarms(status: BatchStatus) -> int:
    return sum(bool(row.migration.alarm) for row in status.rows)


def _ill(status: BatchStatus) -> int:
    return sum(row.migration.health is not None and bool(row.migration.health.failed) for row in status.rows)


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class MetricsServer:
    """Answers GET /metrics on 127.0.0.1. Nothing else is served, and nothing can be changed."""

    def __init__(self, port: int, read: Callable[[], list[BatchStatus]]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.split("?")[0] != "/metrics":
                    self.send_error(404)
                    return
                body = metrics_text(read()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                _log.debug("metrics: " + format, *arguments)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="v2x-metrics", daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def __enter__(self) -> "MetricsServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
