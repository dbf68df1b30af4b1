# SPDX-License-Identifier: Apache-2.0
"""What the wizard began and has not seen the end of: a small file for each run, without any secret."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from v2x.cli import batching
from v2x.files import write_whole
from v2x.model.codec import SchemaError, from_json, to_json

_SCHEMA = "v2x.wizard/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """`begun` is a time as people read it; `plan` and `report` are paths."""

    batch: str
    plan: str
    report: str
    source: str
    target: str
    machines: tuple[str, ...]
    begun: str
    schema: str = _SCHEMA


def folder(state: str | None) -> Path:
    """Where the memos are: in the state folder, or the user's own where the state is a shared database."""
    from platformdirs import user_state_dir

    place = batching.location(state)
    return Path(user_state_dir("v2x", appauthor=False) if "://" in place else place) / "wizard"


def keep(memo: Memo, state: str | None) -> None:
    """Readable by its owner only. OSError where the folder does not take it."""
    place = folder(state)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(place / f"{memo.batch}.json", to_json(memo))


def forget(batch: str, state: str | None) -> None:
    (folder(state) / f"{batch}.json").unlink(missing_ok=True)


def kept(state: str | None) -> Iterator[Memo]:
    """The newest first; a file that is none is passed over."""
    files = sorted(folder(state).glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files:
        try:
            yield from_json(path.read_bytes(), Memo, _SCHEMA)
        except (OSError, SchemaError):
            continue
