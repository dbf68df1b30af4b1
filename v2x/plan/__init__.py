# SPDX-License-Identifier: Apache-2.0
"""Plans: drafted with every choice filled in, edited by people as CSV, checked, frozen by a digest."""
