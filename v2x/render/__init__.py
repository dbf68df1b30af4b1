# SPDX-License-Identifier: Apache-2.0
"""Turns findings and reports into bytes for a person or a program: text, JSON, CSV and HTML.

Whatever comes from outside passes `v2x.text.printable` here (JSON keeps it whole, with escapes), so callers hand over
the records as they are.
"""

from v2x.render.batch_text import batch_text
from v2x.render.formats import FINDINGS_FORMATS, REPORT_FORMATS, render_findings, render_report
from v2x.render.spoken import text_of_findings, text_of_machine
from v2x.render.words import copy_line

__all__ = [
    "FINDINGS_FORMATS",
    "REPORT_FORMATS",
    "batch_text",
    "copy_line",
    "render_findings",
    "render_report",
    "text_of_findings",
    "text_of_machine",
]
