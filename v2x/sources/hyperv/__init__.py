# SPDX-License-Identifier: Apache-2.0
"""Microsoft Hyper-V: live hosts over PowerShell remoting, and what an administrator collected there to a file."""
