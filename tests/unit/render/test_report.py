# SPDX-License-Identifier: Apache-2.0
"""The report of a run in its three formats."""

from dataclasses import replace

import pytest

from v2x.errors import UsageError
from v2x.model.codec import from_json
from v2x.model.machine import Firmware
from v2x.model.migration import REPORT_SCHEMA, Report
from v2x.model.target import SecureBoot, TargetMachine
from v2x.render import REPORT_FORMATS, render_report
from v2x.render.layout import columns


def test_json_is_the_record_itself(build):
    report = build.report(build.migration(), mapping_tables={"a.toml": "00"})
    assert from_json(render_report("json", report), Report, REPORT_SCHEMA) == report


def test_csv_is_not_a_format_of_a_run(build):
    with pytest.raises(UsageError, match="csv"):
        render_report("csv", build.report())


@pytest.mark.parametrize("form", ["text", "html"])
def test_a_disk_is_shown_with_its_figures_and_its_check(build, form):
    page = " ".join(render_report(form, build.report(build.migration())).decode().split())
    for word in (
        "512 MiB",
        "128 MiB/s",
        "4.0 s",
        "every byte is equal",
        "xxh3-128 of 1 of 512 blocks of 2 MiB",
        "vdi-1",
    ):
        assert word in page
    assert "2 min 05 s" in page


@pytest.mark.parametrize("form", ["text", "html"])
def test_a_failure_is_shown_with_its_reason_and_remedy(build, form):
    failure = build.failure(code="NO-SPACE", message="SR Local has no room", hint="free some space")
    failed = build.migration(outcome=build.outcome.FAILED, failure=failure, vm_uuid="", disks=())
    page = render_report(form, build.report(failed)).decode()
    for word in ("SR Local has no room", "NO-SPACE", "free some space", "v2x cleanup"):
        assert word in page
    assert "vm-uninstall" not in page


@pytest.mark.parametrize("form", ["text", "html"])
def test_going_back_names_the_machine_that_was_made(build, form):
    page = " ".join(render_report(form, build.report(build.migration())).decode().split())
    assert f"xe vm-uninstall uuid={build.uuid}" in page
    assert "v2x cleanup" not in page
    assert "v2x verify REPORT.json" in page


def test_an_xva_is_checked_by_importing_it(build):
    page = render_report("text", build.report(build.migration(target="xva:/out", vm_uuid=""))).decode()
    assert "preserve=true" in page
    assert "vm-uninstall" not in page


def test_nothing_but_a_uuid_gets_into_a_command(build):
    for form in ("text", "html"):
        page = render_report(form, build.report(build.migration(vm_uuid="x; rm -rf /"))).decode()
        assert "xe vm-uninstall uuid=UUID" in page


@pytest.mark.parametrize("width", [80, 60, 40])
def test_text_keeps_within_the_width(build, width):
    migrations = (build.migration(machine_name="n" * 300), build.migration(warnings=("w" * 200,)))
    for line in render_report("text", build.report(*migrations), width=width).decode().splitlines():
        assert columns(line) <= width


def test_a_run_without_machines_has_a_report_too(build):
    for form in REPORT_FORMATS:
        assert render_report(form, build.report())


@pytest.fixture
def made():
    return TargetMachine(
        source_id="m", name="web", description="", firmware=Firmware.BIOS, secure_boot=SecureBoot.FALSE, vtpm=False,
        vcpus=1, memory_bytes=1 << 30, platform={}, boot_order="c", template="x",
    )  # fmt: skip


@pytest.mark.parametrize("form", ["text", "html"])
def test_the_smbios_uuid_is_told_before_and_after(build, made, form):
    done = build.migration(machine=made)
    old = "4213c9a0-5d1e-7a52-0f33-9b1f0c5ae001"
    for source, shown in ((old, f"{old} → {done.vm_uuid}"), (done.vm_uuid, f"{done.vm_uuid}, as before")):
        spec = replace(done.machine, other_config={"v2x-source-uuid": source})
        page = render_report(form, build.report(replace(done, machine=spec))).decode()
        assert shown in " ".join(page.split())
    for nothing in (replace(done, machine=None), replace(done, vm_uuid=""), done):
        assert "SMBIOS UUID" not in render_report("html", build.report(nothing)).decode()


def test_what_belongs_to_a_resource_set_is_to_be_counted(build, made):
    done = build.migration(machine=made)
    assert b"recompute all limits" not in render_report("text", build.report(done))
    belonging = replace(done, machine=replace(done.machine, resource_set="U8km"))
    assert b"recompute all limits" in render_report("text", build.report(belonging))
