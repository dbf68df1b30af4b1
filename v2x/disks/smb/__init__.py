# SPDX-License-Identifier: Apache-2.0
"""Files of Windows hosts and file servers over SMB 3: signed, encrypted by default, read only.

Nothing is imported here, so that paths and rules can be read without the library that speaks the protocol.
"""
