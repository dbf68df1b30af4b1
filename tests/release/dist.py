# SPDX-License-Identifier: Apache-2.0
"""What a release is made of: `python -m tests.release.dist [FOLDER]` builds it in dist/.

The sdist, from it the wheel, a bill of materials, a Debian package, and their SHA-256 sums. All times in them are those
of SOURCE_DATE_EPOCH, or of the last commit, so that two builds give the same bytes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import v2x
from tests.release import debian, sbom
from tests.release.lock import ROOT

_WITHOUT_HISTORY = 1580601600
"""2020-02-02, as hatchling has it where nobody says."""


def epoch() -> int:
    """The time that everything in the release bears, in seconds since 1970."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    told = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(told.stdout) if told.returncode == 0 and told.stdout.strip() else _WITHOUT_HISTORY


def archives(folder: Path, when: int) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(when)},
    )
    name = f"v2x-{v2x.__version__}"
    return folder / f"{name}.tar.gz", folder / f"{name}-py3-none-any.whl"


def build(folder: Path) -> list[Path]:
    """Builds everything in `folder`."""
    when = epoch()
    sdist, wheel = archives(folder, when)
    made = [sdist, wheel, sbom.write(v2x.__version__, (wheel, sdist), when, folder)]
    if shutil.which("dpkg-deb"):
        with tempfile.TemporaryDirectory() as work:
            made.append(debian.write(v2x.__version__, wheel, when, folder, Path(work)))
    else:
        print("dist: dpkg-deb is not here, so no Debian package was built", file=sys.stderr)
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made))
    return [*made, sums]


def main(words: list[str]) -> int:
    folder = Path(words[0]) if words else ROOT / "dist"
    folder.mkdir(parents=True, exist_ok=True)
    for path in build(folder.resolve()):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
