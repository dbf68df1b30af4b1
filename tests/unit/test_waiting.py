# SPDX-License-Identifier: Apache-2.0
"""Waits that end early for whoever is to stop, and for nobody else."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from v2x.errors import Stopped
from v2x.waiting import heeding, nap


def test_a_nap_ends_when_the_wish_to_stop_comes():
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with heeding(stop.is_set), pytest.raises(Stopped, match="waited for"):
        nap(60)
    assert time.monotonic() - began < 5


def test_without_a_wish_it_lasts_as_long_as_it_is():
    with heeding(lambda: False):
        nap(0.01)
    with heeding(lambda: True), heeding(None):
        nap(0.01)
    nap(0.01)


def test_other_threads_heed_where_they_take_the_context_over():
    with heeding(lambda: True), ThreadPoolExecutor(1) as pool:
        pool.submit(nap, 0.01).result()
        with pytest.raises(Stopped):
            pool.submit(copy_context().run, nap, 60).result()
