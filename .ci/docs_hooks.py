# SPDX-License-Identifier: Apache-2.0
"""What MkDocs has to be told of our pages, which are written for readers of the repository, too.

The pages' Markdown is CommonMark as code hosts render it. Python-Markdown wants four spaces where that takes two or
three, so items of lists are indented further. Links that leave docs/ lead nowhere on a site, and become plain words.
Decisions, and pages that the navigation does not name, are added to it, so that none is ever lost.
"""

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

STYLE = """/* The theme keeps every cell of a table on one line; ours hold sentences. */
.wy-table-responsive table td, .wy-table-responsive table th { white-space: normal; }
.wy-nav-content { max-width: 70rem; }
.rst-content img { background: #fff; }
"""
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")
FENCE = re.compile(r"^\s*(```|~~~)")
ITEM = re.compile(r"^(?P<mark>[-*+]|\d+\.)(?P<gap> +)\S")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page that lists the decisions, and puts them and forgotten pages into the navigation."""
    titles = {file.src_uri: _title(file) for file in files.documentation_pages()}
    decisions = sorted(uri for uri in titles if uri.startswith("adr/"))
    lines = [f"- [{titles[uri]}]({uri.removeprefix('adr/')})" for uri in decisions]
    about = "# Decisions\n\nOne page each: what was decided, why, and what it costs.\n\n"
    files.append(File.generated(config, "adr/index.md", content=about + "\n".join(lines) + "\n"))
    files.append(File.generated(config, "site.css", content=STYLE))
    named = set(_named(config.nav))
    forgotten = sorted(set(titles) - named - set(decisions))
    nav: list[Any] = list(config.nav or [])
    nav += [{"Further pages": forgotten}] if forgotten else []
    config.nav = [*nav, {"Decisions": ["adr/index.md", *decisions]}]
    return files


def _title(file: File) -> str:
    heading = re.search(r"^# (.+)$", file.content_string, re.MULTILINE)
    number = re.match(r"adr/(\d{4})-", file.src_uri)
    said = heading[1] if heading else file.name
    return f"{number[1]} {said}" if number and not said.startswith(number[1]) else said


def _named(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    inner = nav.values() if isinstance(nav, dict) else nav or []
    return [uri for part in inner for uri in _named(part)]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page as Python-Markdown understands it."""
    text = OUTSIDE.sub(r"\1", markdown).replace("](adr/)", "](adr/index.md)")
    # In a cell, code hosts want a bar escaped in code, too; Python-Markdown would show the backslash.
    rows = (_bars(line) if line.startswith("|") else line for line in text.split("\n"))
    return indented("\n".join(rows))


def _bars(row: str) -> str:
    return re.sub(r"`[^`]*`", lambda code: code[0].replace("\\|", "|"), row)


def indented(text: str) -> str:
    """What belongs to an item of a list by CommonMark's rules, moved to where Python-Markdown's have it."""
    lines = text.split("\n")
    found: list[str] = []
    inside, at = False, 0
    while at < len(lines):
        line = lines[at]
        at += 1
        item = None if inside else ITEM.match(line)
        if item is None:
            inside ^= bool(FENCE.match(line))
            found.append(line)
            continue
        need = len(item["mark"]) + len(item["gap"])
        body = [line[need:]]
        while at < len(lines) and (not lines[at].strip() or lines[at].startswith(" " * need)):
            body.append(lines[at][need:])
            at += 1
        first, *rest = indented("\n".join(body)).split("\n")
        found.append(f"{item['mark']:<4}{first}")
        found += ["    " + one if one.strip() else "" for one in rest]
    return "\n".join(found)
