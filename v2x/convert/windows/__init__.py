# SPDX-License-Identifier: Apache-2.0
"""Conversion of Windows guests: pure functions over a guest's files and registry."""
