# SPDX-License-Identifier: Apache-2.0
"""The pages of `v2x explain` about test cutovers."""

REHEARSAL_PAGES = {
    "HELD": "Another v2x is just cloning the disks of this machine for a test cutover. Wait for it to end and run the "
    "same command again. One that was killed holds a machine for ten seconds at most.",
    "TEST-ELSEWHERE": "A test cutover of a batch has its networks in one place: inside one host, or on the VLANs "
    "that it began with. Leave it there, or end it first: v2x batch test --end.",
    "TEST-MOVED": "A pass of the replication began while the disks were cloned, so that the copy would be of no "
    "single moment. It was removed again; run the same command once more.",
    "TEST-NO-HOST": "Networks without an interface exist inside one host, so all test copies run on one, and none "
    "sees all the storage that they lie on. Test fewer machines at once, or give spare VLANs.",
    "TEST-NO-MEMORY": "No host has the memory for all test copies at once; the numbers stand in the message. Test "
    "fewer machines, name another host (--host), or give spare VLANs (--vlan), which several hosts share.",
    "TEST-NO-SPACE": "A clone on thick storage (LVM) takes the whole size of the disks; on thin storage a fifth of "
    "what they hold is kept free for what the copy and the replication write. The numbers stand in the message.",
    "TEST-NOT-ISOLATED": "Right before a test copy is started its adapters are read from the pool. One of them was "
    "on a network that is not the test's own, or that leads out of it. Nothing was started.",
    "TEST-NOT-READY": "Only warm machines that are ready for cutover can be tested: their disks are whole and of one "
    "moment. What is through needs no test copy: it is on the pool itself, and a test of it is its start.",
    "TEST-VLAN-USED": "The VLAN is on the pool already, so it is no spare one. A test copy has the addresses of a "
    "machine that runs; where both are heard, both break.",
}
