# SPDX-License-Identifier: Apache-2.0
"""Fuzzing of everything that reads what others wrote: see docs/security.md, "Fuzzing"."""
