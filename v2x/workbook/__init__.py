# SPDX-License-Identifier: Apache-2.0
"""Excel workbooks that other people made: cells and sheets, read within limits; nothing in them is evaluated."""
