# SPDX-License-Identifier: Apache-2.0
"""The pages of `v2x explain` about reading vSphere's disks. See docs/vsphere-transports.md."""

TRANSPORT_PAGES = {
    "HTTP": "A web server answered with an error status, or the connection broke more often than is tried. v2x goes on "
    "after a cut where it broke; this shows when nothing came any more. The same command continues.",
    "HTTP-ANSWER": "A web server gave another range, another length or the whole file where a part was asked for. "
    "Nothing of it was used. A proxy or gateway between may be the cause; another --transport goes around it.",
    "LEASE": "An export of vSphere did not become ready, or ended before its time. v2x asks for another one and goes "
    "on; this shows when that failed repeatedly. Look at the machine's host.",
    "NBDKIT": "nbdkit, which serves disks over VDDK and SSH, could not open or read a disk, for a reason that v2x does "
    "not know. The message holds what it said.",
    "FORWARD-ONLY": "A guest is put right by reading its disks here and there. An export lease (nfc) gives a disk "
    "once, from its first byte to its last. Read it with --transport https or vddk, or let v2x migrate --stage FOLDER "
    "keep a copy of the disks while the guest is put right.",
    "NFC-BUSY": "The ESXi host has no transfer session left: each host has few, and backups use them, too. Copy fewer "
    "disks of it at once, or wait for the others to end.",
    "NFC-DISK": "The export of a machine does not say which of its disks is which, and v2x does not guess. Read it "
    "with another --transport.",
    "NFC-TRUST": "The export leads to a host without TLS, or to one whose certificate vSphere does not name. Connect "
    "to that host itself, or use --transport https.",
    "NO-TRANSPORT": "No way leads to the bytes of this disk as it is; the message has the reason of each. Often the "
    "remedy is to shut the machine down, to decrypt it, or to give VDDK.",
    "PORT-902": "VDDK reads from the ESXi host itself, on port 902, and could not reach it. Open that port from here "
    "to the hosts, and see to it that their names are known here.",
    "REDIRECTED": "The server sent a request on to another host. v2x does not follow: neither its certificate nor its "
    "right to the session is known.",
    "SSH": "No SSH connection to the ESXi host. Start the service SSH on it (Host > Manage > Services), and stop it "
    "again afterwards.",
    "SSH-HOST-KEY": "The SSH key of the ESXi host is not known, or is another than the known one. Compare it on the "
    "host, then put it into a known_hosts file and give that with --ssh-known-hosts. Without it nobody could tell the "
    "host from something that stands between.",
    "STREAM-CUT": "An export ended before its end. v2x begins it again and skips what it has; this shows when that "
    "came no further.",
    "TRACKING": "vSphere's change tracking does not tell which parts of the disk are in use: it was off, has no valid "
    "id, contradicts itself, or calls parts unused that hold data. --allocation read-all does without it.",
    "TRANSPORT": "The transport that was asked for cannot read this disk; the message says why. Leave --transport out, "
    "and v2x takes one that can.",
    "VDDK-LIBDIR": "The vddk transport needs VMware's Virtual Disk Development Kit, which may not be passed on: "
    "download it from Broadcom, unpack it, and give the folder vmware-vix-disklib-distrib with --vddk-libdir. The "
    "other transports do without.",
}
