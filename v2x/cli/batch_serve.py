# SPDX-License-Identifier: Apache-2.0
"""`v2x batch serve`: a batch as a page for browsers, to look at only."""

from typing import Annotated

import typer

from v2x.cli.options import BatchName, Given, StateOption, shared


@shared()
def serve(
    given: Given,
    batch: BatchName = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")] = 0,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="address to listen on; others than loopback are not encrypted")
    ] = "127.0.0.1",
    state: StateOption = None,
) -> None:
    """Serves a live view of a batch as a web page; prints its address, runs until Ctrl-C."""
    import secrets
    import time

    from v2x.cli import batching, show
    from v2x.cli.wall_server import WallServer
    from v2x.errors import UsageError
    from v2x.render.wall import wall_words

    token = secrets.token_urlsafe(18)
    with batching.opened(state) as store:
        steering = batching.control(store)
        found = steering.batch(batch)
        try:
            server = WallServer(listen, port, token, lambda: wall_words(steering.status(found)))
        except OSError as problem:
            raise UsageError(
                f"{listen}:{port} cannot be listened on: {problem.strerror or problem}", hint="choose another --port"
            ) from None
        with server:
            address = f"http://{listen}:{server.port}/#{token}"
            if given.json:
                show.document("v2x.batch-serve/1", {"address": address, "batch": found.id})
            else:
                show.result(address)
            show.note("whoever has this address can look, and change nothing; Ctrl-C ends it", quiet=given.quiet)
            if listen != "127.0.0.1":
                show.note("warning: the page is sent without encryption", quiet=given.quiet)
            while True:
                time.sleep(3600)
