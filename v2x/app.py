# SPDX-License-Identifier: Apache-2.0
"""Composition root: builds sources, targets and engines from options; the only room that knows all others."""
