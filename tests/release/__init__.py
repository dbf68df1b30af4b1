# SPDX-License-Identifier: Apache-2.0
"""What is checked and built for a release: locks, licences, audit, bill of materials, man pages, packages."""
