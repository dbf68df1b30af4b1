# SPDX-License-Identifier: Apache-2.0
"""The documentation as a site: whole, strict, and loading nothing from elsewhere; its made pages are current."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import docs_made

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / ".ci/docs_hooks.py")
hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hooks)


def build(folder, docs):
    """mkdocs on a copy of the configuration, so that nothing is written into the checkout."""
    (folder / ".ci").mkdir()
    for name in ("mkdocs.yml", "docs_hooks.py"):
        shutil.copy(ROOT / ".ci" / name, folder / ".ci" / name)
    shutil.copytree(docs, folder / "docs")
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", folder / ".ci/mkdocs.yml"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    ran = build(folder, ROOT / "docs")
    assert ran.returncode == 0, ran.stderr
    return folder / "build/site"


def test_every_page_of_the_documentation_is_on_the_site_and_in_its_navigation(site):
    pages = [file.relative_to(ROOT / "docs") for file in (ROOT / "docs").rglob("*.md")]
    assert len(pages) > 55
    index = (site / "index.html").read_text("utf-8")
    for page in pages:
        made = page.with_suffix(".html").as_posix()
        assert (site / made).is_file()
        assert f'href="{made}"' in index or made == "index.html", f"{made} is in no navigation"


def test_it_loads_nothing_from_elsewhere(site):
    loading = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^\s\"'>]*")
    for file in site.rglob("*.html"):
        assert not loading.search(file.read_text("utf-8")), file
    for file in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", file.read_text("utf-8")), file


def test_lists_with_commands_in_them_stay_one_list(site):
    text = (site / "first-vm.html").read_text("utf-8")
    assert text.count("<ol>") == 1, "each step is an item of one list, its commands are in it"
    assert re.search(r"<li>\s*<p><strong>Ask what is missing.</strong></p>\s*<pre", text)


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path):
    docs = tmp_path / "given"
    shutil.copytree(ROOT / "docs", docs)
    (docs / "new.md").write_text("# New\n\n[a](nowhere.md) [b](faq.md#nothing-of-that)\n")
    ran = build(tmp_path, docs)
    assert ran.returncode == 1 and "nowhere.md" in ran.stderr and "nothing-of-that" in ran.stderr


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("1. One\n\n   text\n2. Two", "1.  One\n\n    text\n2.  Two"),
        (
            "- One\n  goes on\n  - Two\n    goes on\n\nNext",
            "-   One\n    goes on\n    -   Two\n        goes on\n\nNext",
        ),
        ("10. Ten\n\n    ```\n    - no item\n    ```\nNext", "10. Ten\n\n    ```\n    - no item\n    ```\nNext"),
        ("```\n- no item\n  text\n```", "```\n- no item\n  text\n```"),
    ],
)
def test_items_of_lists_are_indented_as_python_markdown_wants_it(given, wanted):
    assert hooks.indented(given) == wanted


def test_links_out_of_the_documentation_become_words():
    assert hooks.on_page_markdown("see [the tables](../mappings/nic.toml) and [x](faq.md)") == (
        "see the tables and [x](faq.md)"
    )


def test_a_bar_in_code_in_a_cell_is_shown_without_its_backslash(site):
    assert "<code>--state DIR|URL</code>" in (site / "commands.html").read_text("utf-8")
    assert hooks.on_page_markdown("| `a\\|b` | c \\| d |") == "| `a|b` | c \\| d |"


def test_the_made_pages_are_what_the_program_says():
    assert docs_made.main([]) == 0, "python -m tests.docs_made --write"


def test_a_stale_page_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(docs_made, "DOCS", tmp_path)
    assert docs_made.main([]) == 1
    assert "docs/commands.md is not what the program says" in capsys.readouterr().out
    assert docs_made.main(["--write"]) == 0 and docs_made.main([]) == 0
    page = tmp_path / "plan-columns.md"
    page.write_text(page.read_text().replace("machine_id", "machine"))
    assert docs_made.main([]) == 1


def test_every_command_column_and_code_is_on_its_page():
    commands, codes = docs_made.commands_page(), docs_made.codes_page()
    assert "\n## v2x batch watch\n" in commands and "`--every <float range>`" in commands
    assert "`SR_BACKEND_FAILURE_44`" in codes and "`0xC0000043` `STATUS_SHARING_VIOLATION`" in codes
    assert "`NETWORK-UNRESOLVED`" in codes and "`VDDK-16008`" in codes
    assert all(f"`{one.name}`" in docs_made.columns_page() for one in docs_made.COLUMNS)
