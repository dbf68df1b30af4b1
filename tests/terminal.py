# SPDX-License-Identifier: Apache-2.0
"""Programs in a pseudo-terminal of 80 columns and 24 lines, with a picture of what a person sees there."""

import json
import re
import sys
import time
from pathlib import Path
from xml.sax.saxutils import escape

import pexpect
import pyte

ROOT = Path(__file__).parents[1]
COLUMNS, LINES = 80, 24
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])")
ESC, UP, DOWN, ENTER, BACKSPACE, CTRL_C = "\x1b", "\x1b[A", "\x1b[B", "\r", "\x7f", "\x03"


class Terminal:
    """One program. `frames` are (seconds since the start, what it wrote): what an asciinema file is made of."""

    def __init__(self, words, *, cwd, timeout=60, environment=None, columns=COLUMNS, lines=LINES):
        self.screen = pyte.HistoryScreen(columns, lines, history=5000, ratio=0.5)
        self._stream = pyte.Stream(self.screen)
        self.frames = []
        self._begun = time.monotonic()
        self._raw = ""
        self._seen = 0
        settings = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color", "HOME": str(cwd), "LANG": "C.UTF-8", **(environment or {}),
        }  # fmt: skip
        self.child = pexpect.spawn(
            words[0], [str(word) for word in words[1:]], cwd=str(cwd), encoding="utf-8", timeout=timeout,
            dimensions=(lines, columns), env=settings,
        )  # fmt: skip
        self.timeout = timeout

    def _read(self, seconds):
        try:
            data = self.child.read_nonblocking(65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.frames.append((time.monotonic() - self._begun, data))
        self._raw += data
        self._stream.feed(data)
        return True

    @property
    def raw(self):
        """Everything that was written, with escapes."""
        return self._raw

    @property
    def text(self):
        """The screen, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def scrolled(self):
        """What has left the screen at its top, and the screen."""
        width = self.screen.columns
        top = ["".join(line[x].data for x in range(width)).rstrip() for line in self.screen.history.top]
        return "\n".join([*top, self.text])

    def expect(self, text, *, timeout=None):
        """Waits until `text` was written since the last keys, whatever is between its words; returns the screen."""
        wanted = r"\s+".join(re.escape(word) for word in text.split())
        until = time.monotonic() + (timeout or self.timeout)
        alive = True
        while not re.search(wanted, self.new):
            if not alive or time.monotonic() > until:
                raise AssertionError(f"no {text!r} on the screen:\n{self.scrolled}")
            alive = self._read(0.1)
        self.settle()
        return self.text

    @property
    def new(self):
        """What was written since the last keys, without escapes."""
        return ESCAPES.sub("", self._raw[self._seen :])

    def settle(self, quiet=0.15):
        """Until nothing was written for a moment."""
        while True:
            before = len(self._raw)
            if not self._read(quiet) or len(self._raw) == before:
                return

    def send(self, *keys):
        self._seen = len(self._raw)
        for key in keys:
            self.child.send(key)
            self.settle(0.05)

    def answer(self, question, *keys):
        """Waits for a question and gives the keys, with Enter at the end."""
        self.expect(question)
        self.send(*keys, ENTER)

    def ended(self, timeout=None):
        """The exit status, once the program is over."""
        until = time.monotonic() + (timeout or self.timeout)
        while self._read(0.2):
            if time.monotonic() > until:
                raise AssertionError(f"it does not end:\n{self.scrolled}")
        self.child.close()
        return self.child.exitstatus

    def close(self):
        self.child.close(force=True)


def picture(screen, title=""):
    """The screen as an SVG image: text that can be selected, in a terminal's grid."""
    wide, high, margin, top = 8.4, 18, 12, 34
    width, height = screen.columns * wide + 2 * margin, screen.lines * high + top + margin
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#1c1f24"/>',
        f'<text x="{width / 2:g}" y="22" fill="#9aa4b2" font-family="sans-serif" font-size="13" text-anchor="middle">'
        f"{escape(title)}</text>",
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#d7dce2">',
    ]
    for y in range(screen.lines):
        for x, text, style in _runs(screen.buffer[y], screen.columns):
            left, base = margin + x * wide, top + y * high
            if style.reverse:
                parts.append(
                    f'<rect x="{left:g}" y="{base:g}" width="{len(text) * wide:g}" height="{high}" fill="#d7dce2"/>'
                )
            elif not text.strip():
                continue
            look = (' fill="#1c1f24"' if style.reverse else "") + (' font-weight="bold"' if style.bold else "")
            length = f'textLength="{len(text) * wide:g}" lengthAdjust="spacingAndGlyphs"'
            parts.append(f'<text x="{left:g}" y="{base + 14:g}" {length}{look}>{_fixed(text)}</text>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _fixed(text):
    """Blanks that no browser takes together."""
    return escape(text).replace(" ", "\u00a0")


def _runs(line, columns):
    """(column, text, style) of what stands together in one style."""
    start = 0
    for x in range(1, columns + 1):
        if x == columns or (line[x].bold, line[x].reverse) != (line[start].bold, line[start].reverse):
            text = "".join(line[n].data for n in range(start, x))
            yield start, text if line[start].reverse else text.rstrip(), line[start]
            start = x


def cast(frames, *, title, columns=COLUMNS, lines=LINES, longest=2.0):
    """Frames as an asciinema recording (asciicast v2); nobody waits longer than `longest` seconds for the next one."""
    head = {"version": 2, "width": columns, "height": lines, "title": title, "env": {"TERM": "xterm-256color"}}
    out, now, before = [json.dumps(head)], 0.0, 0.0
    for at, data in frames:
        now += min(longest, at - before)
        before = at
        out.append(json.dumps([round(now, 3), "o", data], ensure_ascii=False))
    return "\n".join(out) + "\n"
