# SPDX-License-Identifier: Apache-2.0
"""Edits a plan as a person does in LibreOffice: opens the file, types into cells, saves it in the same format.

    python -m tests.spreadsheet_edit PLAN MACHINE COLUMN=VALUE…

Needs the Debian packages libreoffice-calc-nogui and python3-uno, whose Python runs `OFFICE` below.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OFFICE = r"""
import json, sys, time, uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException

pipe, edits = sys.argv[1], json.loads(sys.argv[2])
local = uno.getComponentContext()
resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
for _ in range(600):
    try:
        context = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        break
    except NoConnectException:
        time.sleep(0.1)
desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)


def said(**properties):
    return tuple(PropertyValue(Name=name, Value=value) for name, value in properties.items())


# What the import dialog offers for UTF-8 with commas: field 44, quotes 34, character set 76.
csv = {"FilterName": "Text - txt - csv (StarCalc)", "FilterOptions": "44,34,76,1"}
xlsx = {"FilterName": "Calc MS Excel 2007 XML"}
for one in edits:
    document = desktop.loadComponentFromURL(one["url"], "_blank", 0, said(Hidden=True, **(csv if one["csv"] else {})))
    sheet = document.Sheets.getByIndex(0)
    head = {}
    for x in range(200):
        name = sheet.getCellByPosition(x, 0).String
        if not name:
            break
        head[name] = x
    for y in range(1, 10000):
        name = sheet.getCellByPosition(head["machine_name"], y).String
        if not name:
            break
        if name == one["machine"]:
            for column, value in one["cells"].items():
                # As typed: what looks like a number becomes one.
                sheet.getCellByPosition(head[column], y).setFormula(value)
    document.storeToURL(one["save"], said(**(csv if one["save"].endswith(".csv") else xlsx)))
    document.close(True)
desktop.terminate()
"""


def edit(path: Path, machine: str, cells: dict[str, str], save: Path | None = None) -> None:
    """Opens `path`, edits the row of a machine, and saves it there, or as `save` in the format of its name."""
    place = save or path
    todo = [
        {
            "url": path.resolve().as_uri(),
            "csv": path.suffix == ".csv",
            "machine": machine,
            "cells": cells,
            "save": place.resolve().as_uri(),
        }
    ]
    with tempfile.TemporaryDirectory() as profile:
        pipe = f"v2x{time.time_ns()}"
        office = subprocess.Popen(
            [
                "soffice",
                "--headless",
                "--norestore",
                "--nologo",
                f"-env:UserInstallation={Path(profile).as_uri()}",
                f"--accept=pipe,name={pipe};urp",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            words = ["/usr/bin/python3", "-c", OFFICE, pipe, json.dumps(todo)]
            subprocess.run(words, check=True, timeout=180)
            office.wait(60)
        finally:
            office.kill()
            office.wait()


if __name__ == "__main__":
    file, name, *changes = sys.argv[1:]
    edit(Path(file), name, dict(change.split("=", 1) for change in changes))
