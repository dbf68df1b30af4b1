# SPDX-License-Identifier: Apache-2.0
"""The least that a rebuilt initial RAM disk costs: `guest_floor.py DISK OVERLAY KERNEL`, under the system's Python.

Starts libguestfs's virtual machine on an overlay, mounts the first partition, and has the guest's own program build the
image once. Nothing is looked for, nothing is edited, nothing is copied.
"""

import subprocess
import sys

import guestfs

disk, overlay, version = sys.argv[1:]
subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk, overlay], check=True)
handle = guestfs.GuestFS(python_return_dict=True)
handle.set_network(False)
handle.add_drive_opts(overlay, format="qcow2")
handle.launch()
handle.mount("/dev/sda1", "/")
handle.command(["update-initramfs", "-u", "-k", version])
handle.umount_all()
handle.shutdown()
handle.close()
