# SPDX-License-Identifier: Apache-2.0
"""The tables of the state database. Texts named `*_json` hold one JSON document; times are UTC, in ISO 8601.

The database is a cache with a memory for wishes (pause, cancel, limits) and for what is shown (progress, events). What
a migration has reached stands on the target.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, Table, Text

VERSION = 1
metadata = MetaData()

about = Table("v2x_about", metadata, Column("version", Integer, nullable=False))

batches = Table(
    "v2x_batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("plan_id", Text, nullable=False),
    Column("plan_path", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("doors_json", Text, nullable=False),
    Column("findings_json", Text, nullable=False),
    Column("tables_json", Text, nullable=False),
)

rows = Table(
    "v2x_rows",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("keys_json", Text, nullable=False),
    Column("order_json", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("cancel", Text, nullable=False),
    Column("cutover", Boolean, nullable=False),
    Column("due", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("started", Text, nullable=False),
    Column("finished", Text, nullable=False),
    Column("vm_uuid", Text, nullable=False),
    Column("failure_json", Text, nullable=False),
    Column("warnings_json", Text, nullable=False),
    Column("facts_json", Text, nullable=False),
)

needs = Table(
    "v2x_needs",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("row", Text, primary_key=True),
    Column("needs", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("for_cutover", Boolean, nullable=False),
)

partners = Table(
    "v2x_partners",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("row", Text, primary_key=True),
    Column("team", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("warm", Boolean, nullable=False),
)

windows = Table(
    "v2x_windows",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("row", Text, primary_key=True),
    Column("span", Text, nullable=False),
    Column("for_cutover", Boolean, nullable=False),
    Column("least_seconds", Float, nullable=False),
    Column("read_bytes", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
)

disks = Table(
    "v2x_disks",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("row", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("result_json", Text, nullable=False),
)

progress = Table(
    "v2x_progress",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("row", Text, primary_key=True),
    Column("disk", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("activity", Text, nullable=False),
    Column("done_bytes", BigInteger, nullable=False),
    Column("total_bytes", BigInteger, nullable=False),
    Column("copied_bytes", BigInteger, nullable=False),
    Column("rate_bytes", Float, nullable=False),
    Column("updated", Text, nullable=False),
)

limits = Table(
    "v2x_limits",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

slots = Table(
    "v2x_slots",
    metadata,
    Column("key", Text, primary_key=True),
    Column("holder", Text, primary_key=True),
    Column("weight", Integer, nullable=False),
)

promises = Table(
    "v2x_promises",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("storage", Text, primary_key=True),
    Column("left_bytes", BigInteger, nullable=False),
)

workers = Table(
    "v2x_workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("started", Text, nullable=False),
    Column("seen", Text, nullable=False),
)

events = Table(
    "v2x_events",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("batch", Text, nullable=False),
    Column("row", Text, nullable=False),
    Column("body_json", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

appointed = Table(
    "v2x_appointed",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("row", Text, primary_key=True),
    Column("at", Text, nullable=False),
)
