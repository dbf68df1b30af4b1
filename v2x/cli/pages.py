# SPDX-License-Identifier: Apache-2.0
"""The pages of `v2x explain`: exit codes, error codes, and the rules of the assessment."""

from dataclasses import dataclass

from v2x.cli.batch_pages import BATCH_PAGES
from v2x.cli.guest_pages import GUEST_PAGES
from v2x.cli.rehearsal_pages import REHEARSAL_PAGES
from v2x.cli.transport_pages import TRANSPORT_PAGES
from v2x.errors import UsageError, V2xError

EXIT_CODES = {
    0: "done",
    1: "a bug of v2x",
    2: "wrong usage: the command line, a configuration file or a plan",
    3: "findings at or above --fail-on",
    4: "some machines failed; the report says which and why",
    5: "cannot connect, log in, or not permitted",
    6: "input refused: unsafe, corrupt or unsupported",
    70: "a worker lost its state database and ended at once; other workers continue its machines",
    75: "stopped but resumable: the same command continues",
    130: "interrupted by Ctrl-C, resumable",
    143: "terminated, resumable",
}

_OF_THEIR_OWN = TRANSPORT_PAGES | REHEARSAL_PAGES
PAGES = _OF_THEIR_OWN | {
    "ACCOUNT-LOCKED": "The server has locked the account after wrong passwords, of v2x or of anybody. v2x tries a "
    "password once. ESXi unlocks it after 15 minutes; a vCenter administrator can do it at once.",
    "ADDRESS": "An address is not of a form that v2x knows. Sources are paths, vsphere://USER@HOST and "
    "hyperv://USER@HOST; targets are xapi://USER@HOST and xva:FOLDER; an alias of v2x.toml stands for either.",
    "AFTER-FAILED": "The plan's column `after` names a machine that has to be through before this one, and it failed, "
    "was cancelled or skipped. Nothing was done with this one. v2x batch resume tries both again.",
    "AMBIGUOUS": "Several machines have this name. Give the id of the one that is meant: v2x inventory --json.",
    "AMBIGUOUS-DISK": "Several files below the folder have the name that the machine's configuration gives its disk. "
    "Keep the machine's own one there; the other ones may be those of checkpoints or of other machines.",
    "AMBIGUOUS-PARENT": "Several files beside a delta disk have the identifier of its parent, as copies do. Keep the "
    "one that belongs to the machine.",
    "ASSUMED": "The source does not say something that a machine needs; the text names the value taken instead.",
    "BACKUP-RUNS": "A backup product is at the machine: it keeps a snapshot under a name of its own, a task on its "
    "snapshots is under way, or a disk of it is attached to another machine. It was waited for (--backup-wait). Run "
    "the same command again when it has ended. A snapshot that a failed backup left is to be removed in its product.",
    "BAD-DISK": "A disk's files are there, but cannot be read as they are; the text says why, in the words that a "
    "migration would end with.",
    "BUSY": "A backup, a snapshot, a merge of checkpoints, a move between hosts or another task holds the machine at "
    "its source. A copy made meanwhile would be of no single moment; wait for it to end and run the same again.",
    "CANCELLED": "Somebody cancelled the task at the source. Run the same command again.",
    "CAPACITY-MISMATCH": "The descriptor gives another capacity than the disk itself. The disk's own is used.",
    "CHECKPOINT-FAILED": "The Hyper-V host made no checkpoint of the machine, which a warm migration reads its disks "
    "from. Look at the machine's checkpoint settings (CheckpointType is not Disabled), at its guest's services where "
    "only production checkpoints are allowed, and at the free space of its volume; or migrate it cold.",
    "COMMAND-DENIED": "The session of the Hyper-V host does not allow a command; the text names it. A JEA endpoint is "
    "made with the files of v2x inventory --jea; to shut machines down and start them it needs --jea-power too.",
    "CONFIG-MODE": "v2x.toml names commands to be run, or files with keys of guests, so only its owner may read or "
    "write it: chmod 600.",
    "DATA-LOSS": "The machine has run on the pool, and going back to its source loses everything it wrote there. Save "
    "what is needed first; --accept-data-loss says that the rest may go.",
    "DOCTOR": "A check of v2x doctor failed; the line names what is missing and how to get it.",
    "DOMAIN-CONTROLLER": "A domain controller that goes back in time can break replication of its whole domain. "
    "--force-dc goes back all the same.",
    "ENCRYPTED": "The disk is encrypted at the source, so its bytes cannot be moved. Decrypt the machine there first.",
    "EVIDENCE": "An archive of evidence was changed since it was written, or is not whole; the text names the part.",
    "FINALIZED": "The way back of this machine was given up with v2x batch finalize.",
    "GONE": "The machine is not on the target any more, so there is nothing to go back from.",
    "GUEST-LOCKED": "The guest's disks are encrypted with LUKS, and none of the given passphrases opens them. "
    "Nothing was changed. Without a passphrase the guest is copied as it is, and unlocked at its start as ever. "
    "Passphrases are given with --luks-key-file or --luks-ask, or by luks_key_files in [guest] of v2x.toml.",
    "GUEST-ROOM": "A file system of the guest is too full: its initial RAM disks are rebuilt with drivers for Xen, and "
    "the old ones stay beside them. Nothing was changed. Make room in the guest (old kernels), or migrate without "
    "conversion.",
    "GUEST-STILL-ON": "The guest was asked to shut down and did not in time. v2x switches nothing off by itself: look "
    "at its console, wait longer (--shutdown-minutes), or allow it (--running power-off).",
    "GENERATION-2": "The machine is of generation 2 and comes from a .vmcx file, whose format Microsoft does not "
    "document. What v2x knows of it was worked out from files of generation 1: Secure Boot and the boot order of "
    "generation 2 are left unknown. --experimental-vmcx reads them all the same; compare them with the host.",
    "HARDWARE-UNKNOWN": "Only disks are in the folder, no configuration. Give the hardware: --vcpus, --memory and, "
    "where the text names it, --firmware, or the same columns of a plan. Network adapters are added on the pool later.",
    "HEALTH": "Something that was recorded before the shutdown was not back after the start, and the row's on_fail "
    "says that the machine then goes back: it is stopped on the pool and kept from starting, its source is as it was "
    "and runs. Its disks stay on the pool to be looked at; what it wrote there since its start is lost.",
    "HAS-SNAPSHOTS": "Somebody took snapshots of the machine on the pool since it was migrated. v2x removes nothing "
    "that others made: delete the snapshots there, then give the command again.",
    "HOOK": "A hook of yours ended with an error or not in its time; its last words stand in the machine's warnings. "
    "With stops = false in v2x.toml it would only be a warning.",
    "HOST-LOST": "The host that runs the machine does not answer its vCenter. Bring it back, or let the cluster move "
    "the machine, then run again.",
    "IGNORED": "The source names something that is not in use there; it is left out.",
    "LATER": "The command or option has its place in v2x, but comes with a later release. The hint helps until then.",
    "LEFT-OUT": "The source lists something that is no machine of yours: vSphere's own cluster services, a placeholder "
    "of another site, or a row that stands there twice. The text counts them.",
    "LENT-DISK": "The disk belongs to another machine and was only attached to this one, as backup proxies do. It "
    "never moves with the borrower.",
    "LOCKED": "A file of the machine is held by something else: another host, a backup, a disk attached to two "
    "machines. End that, then run again.",
    "MAC-USED": "Two adapters with one MAC address in one network break both. Let the pool make a new address, or "
    "remove the adapter that has it.",
    "MAINTENANCE": "The host is in maintenance mode and takes no such task. Take it out of it, or let the machine move "
    "to another.",
    "MAPPING": "A mapping table is wrong: the message names file, row and key. See docs/mappings.md.",
    "MEMBER-IGNORED": "The archive has a member that no appliance needs (a link, a device, a second descriptor). It is "
    "never read.",
    "MISSED-WINDOW": "No time of the window of the plan's row is left, or none is as long as the machine's outage is "
    "foretold to take with the time to roll back: then it is not begun. What was copied stays on the target, and no "
    "snapshot of v2x stays at the source. Write another or a longer window, and run the plan.",
    "MISSING-COLUMN": "A sheet of the RVTools export lacks a column; the text says what is unknown for it. Export "
    "again with a current release, and with all columns.",
    "MISSING-DISK": "The descriptor names a disk whose file is not there. Nothing can be migrated without it.",
    "MISSING-FILE": "A file that the appliance or disk names is not beside it, or not on the share it should be on. "
    "Copy it there, or say with --share where the folder of a Hyper-V host is found.",
    "MISSING-PARENT": "A delta disk needs the disk it was made from. Copy the whole chain into one folder.",
    "MISSING-SHARE": "The file server has no share of that name. Drives of a Hyper-V host are looked for under its "
    "administrative shares (D$), which an administrator may have turned off: share the folder and give --share.",
    "MISSING-SHEET": "The RVTools export lacks a sheet; the text says what is unknown for it. Export all tabs.",
    "MISSING-TOOL": "A program that this step needs is not installed; the message names the Debian package.",
    "NAME-USED": "The pool already has a machine of this name. Names need not be unique there, but two machines that "
    "look alike are how the wrong one gets deleted.",
    "NETWORK-UNRESOLVED": "Nothing certain says which network of the pool an adapter belongs on: no rule, no single "
    "network of exactly its name with the same VLAN, no uplink known for its switch. v2x asks, because a wrong network "
    "is worse than none. Name it with --network, in the networks column of the plan, or by rules in v2x.toml.",
    "NO-HYPERV": "The host answers, but has no Hyper-V module for PowerShell: it is another machine, or only the "
    "management tools are missing (Install-WindowsFeature Hyper-V-PowerShell).",
    "NO-DIGEST": "The manifest has no digest of this file, so nothing proves that it is as it was exported.",
    "NO-HOST": "Every host that sees the storage is disabled, being evacuated, updated or restarted, or does not "
    "answer. A disk begun there would be in the way, or lost sight of. Enable a host, or choose another storage.",
    "NO-HOOK": "A row names a hook that v2x.toml here does not have. What a hook does is never read from a plan.",
    "NO-DIGESTS": "The report is of a run that copied nothing: it failed, or found its machines migrated already, so "
    "that it has nothing to compare with. The report of the run that copied them has the digests; v2x migrate does not "
    "overwrite it.",
    "NO-PASSWORD": "Nobody could be asked for the password. Give a file (mode 0600) or an environment variable; "
    "passwords never stand on the command line. Of several sources (or targets) each needs its own: "
    "--source-password-file ALIAS=FILE, V2X_SOURCE_PASSWORD_ALIAS, or a secret in v2x.toml.",
    "NO-VINFO": "An RVTools export needs the sheet vInfo with a column VM; everything else may be missing.",
    "NOT-COORDINATOR": "The address is a member of the pool. Only the coordinator takes calls; the message names it.",
    "NOT-IN-SNAPSHOT": "An independent or shared disk is in no snapshot, so it cannot be read while the machine runs. "
    "Shut the machine down, or let v2x do it (--running shutdown).",
    "NOT-LIVE": "The plan was drafted from an RVTools export: it can be checked, but the export holds no disks. "
    "Name the vCenter or ESXi host: --source ALIAS=vsphere://USER@HOST at v2x plan check and v2x batch run, or the "
    "alias in v2x.toml; machines are found by their instance UUID, and what differs from the export is told.",
    "NOT-DECODED": "The machine's configuration holds a setting in a form that is not known; the text names it. Look "
    "it up on the host. A list that was collected there tells it.",
    "NOT-LOOKED-AT": "Whether stopped sources of migrated machines are still off could not be asked: the source does "
    "not answer, or refuses the login. They may be off or not.",
    "NOT-READ": "A question to a Hyper-V host had no answer; the text names what was asked and what the host said. "
    "Everything else of the machine is listed. The identifier at its end is the same in every language.",
    "NOT-PLACED": "Rows of a sheet name a machine that vInfo does not have, or a name that several have, without an "
    "id. They are left out, so these machines may have more disks or cards than the report knows.",
    "NOT-TOLD": "The source never says this of any machine. Take the inventory from the hypervisor, or from exported "
    "machines, where it matters.",
    "NOT-VSPHERE": "What answers at the address is neither a vCenter nor an ESXi host; the message says what was seen. "
    "Check address and port; a web proxy between also looks like this.",
    "NOT-THROUGH": "A machine that is worked on just now, was never begun, or is back already has no way back to go. "
    "Cancel one that is under way: its source goes on. Only one that is through can be finalized.",
    "NOT-TRACKED": "A warm migration asks the source what changed, and this machine's changes are not tracked. Let "
    "v2x turn it on (--enable-cbt), which is possible only while the machine has no snapshot.",
    "OLD-EXPORT": "Up to Windows Server 2008 R2, Export-VM wrote the configuration in a form of its own (.exp), which "
    "v2x does not read. On the host itself lies an .xml of the same name, which it does: shut the machine down and "
    "copy its folders. The disks of the export are read as they are, with hardware that you give.",
    "OWNED": "Another run of v2x works on the same machine. Two runs would send the same disks twice; wait for the "
    "other to end, or stop it.",
    "PARENT-CHANGED": "A delta belongs to another content of its parent than the one beside it. Copy the chain again, "
    "with the machine shut down.",
    "PASSWORD-EXPIRED": "The account's password has expired. Change it in the vSphere client first.",
    "POINT": "The disk on the pool holds another state of the source than the one to be sent; it must be made anew, "
    "which the next run does.",
    "POWER-STATE": "The machine is not in the power state that the step needs. It may have been started, stopped or "
    "suspended meanwhile.",
    "POWERED-ON": "The machine runs, so that its disks do not hold a state one can start from. Of a live source you "
    "choose: --running shutdown, --running snapshot (a copy of this moment), --running power-off.",
    "RAW-DEVICE": "The disk lies on a device (raw device mapping, physical disk), which is not in any file.",
    "READ-ONLY-LICENCE": "A free ESXi licence lets programs look but not act: no snapshot, no power, no export. Assign "
    "a licence or the evaluation mode, go through a vCenter, or shut the machine down and read its files over https or "
    "ssh.",
    "SECRET-FILE-MODE": "A password file that others can read is no secret: chmod 600.",
    "SECRET-FOR-ONE": "A password was given that could be for more than one source or target. v2x does not try it on "
    "each: give one for each alias, as a file or in v2x.toml.",
    "SECRET-MISSING": "The keyring has no such entry.",
    "NOT-KEPT": "The pool takes no snapshot of a disk, or clones none. It is a note: what goes wrong is sent again.",
    "SEGMENT-LOST": "The upload broke off. v2x sends again from the last mark; this shows when that failed repeatedly.",
    "SESSION": "The server ended the session, and the one that followed. Look at the limits for sessions and idle "
    "time.",
    "REMOTE-FAULT": "The WinRM service of a host refused a request for a reason that v2x has no words for. The text "
    "holds its own reason and code; the event log Microsoft-Windows-WinRM/Operational has more.",
    "REMOTE-PROTOCOL": "What answers is no PowerShell remoting as Windows speaks it: another service, or something in "
    "between. Check the port (5986 for HTTPS, 5985 for HTTP).",
    "REMOTE-SCRIPT": "A script of v2x ended with an error on a host; the text holds the host's own words and their "
    "identifier. Run the script that v2x inventory --collector writes there to see more.",
    "SERVER-NOT-NAMED": "The configuration of a machine says that a disk is on a file server which you did not name. "
    "v2x does not log in to servers that only a file names: that would show them your account. If the server is "
    "yours, the hint has the option that names it.",
    "SESSION-LOST": "A host ended the PowerShell session, as a restart of its WinRM service does. Run again.",
    "SHUTDOWN-FAILED": "The guest did not shut down when it was asked to: its integration service does not answer, "
    "somebody is logged in and it waits, or it takes longer than --shutdown-minutes. v2x never turns a machine off.",
    "SIZE-MISMATCH": "A file has another size than the descriptor says. It may be truncated; the digests will tell.",
    "SNAPSHOT": "The source refused the snapshot; the message says why. v2x makes one snapshot of a running machine, "
    "by the name v2x and the tag of the migration.",
    "SNAPSHOT-ROOM": "A snapshot grows with what its machine writes, and a datastore that is full stops every machine "
    "on it. Make room on the datastore that is named, or lower --datastore-floor; where a pass needs longer than "
    "--snapshot-hours, allow more. No snapshot of ours is left, and the same command continues.",
    "SOURCE-CHANGED": "A file of the source changed while it was read, so that its bytes are of no single moment. Run "
    "again when nothing writes there any more.",
    "SOURCE-FULL": "The datastore has no room for what the machine writes while its snapshot exists. Free some, or "
    "shut the machine down and migrate it then.",
    "SOURCE-GONE": "The machine or its snapshot is not at the source any more. List the source again, and draft the "
    "plan again.",
    "SOURCE-DIFFERS": "Before a machine of a batch is begun, and more than ten minutes after it was listed, it is "
    "compared with its source: disks and their sizes, adapters, firmware, CPUs, memory. It differs, or is gone; the "
    "text says in what. Nothing was made, and other machines go on. Look at its row, then v2x plan check "
    "--accept-changes, and run the plan.",
    "SOURCE-NETWORK": "The network that disks come over can be chosen where v2x connects to the hosts by itself: "
    "by a VMkernel adapter of an ESXi host. Files are read where they are mounted, and disks of Hyper-V hosts from "
    "the addresses that --share names.",
    "SOURCE-RESTARTED": "The source of a machine that was migrated runs again, and has the addresses of its successor. "
    "It was stopped by v2x or was off, and is looked at until the machine is finalized. Find out who started it, then "
    "shut it down there, or take the machine back with v2x batch rollback. v2x does not switch it off by itself.",
    "SOURCE-RUNNING": "Lock files say that the machine is running, or its host has the disk open. Shut it down first, "
    "and wait for backups and merges of checkpoints to end.",
    "SOURCE-TIMEOUT": "A host did not finish what it was asked for; it was told to stop. Run again when it is less "
    "busy.",
    "STATE": "The state database of batches cannot be used or written: its folder is full or not yours, its server "
    "does not answer, or another version of v2x wrote it. What runs has stopped at a mark; once the cause is gone, the "
    "same command continues.",
    "STATE-LOCKED": "Another process runs the batches of this state. One process does so at a time, so that no machine "
    "is migrated twice at once; several workers need a PostgreSQL database as --state.",
    "SUSPENDED": "A suspended machine has a part of its state in a memory file that does not move. Resume it and shut "
    "it down.",
    "TAGS": "Tags come from vCenter's REST interface, which did not answer. Everything else is known; tags are left "
    "out.",
    "TEMPLATE": "A template has no life of its own; deploy a machine from it and migrate that.",
    "TERMINATED": "The program was ended by a signal. The same command continues.",
    "TIMEOUT": "A task at the source took longer than v2x waits. It may still end by itself; run the same command "
    "again.",
    "TRACKING-LOST": "What changed since the last pass cannot be told any more: change tracking began anew in between. "
    "The disk is copied whole once more.",
    "TOOL-FAILED": "A program that v2x called ended with an error; the message holds what it said.",
    "TOOL-TIMEOUT": "A program that v2x called did not end in its time and was stopped.",
    "TOOLS": "VMware Tools do not run in the guest, so it cannot be asked to shut down. Shut it down from inside, or "
    "allow --running power-off.",
    "TWO-CLAIMS": "More than one object on the pool claims to belong to this migration. v2x never guesses: remove the "
    "one that is not it (v2x cleanup lists them).",
    "TWO-EXPORTS": "Two files stand for one sheet, so they are of two exports. Give each export by itself.",
    "UNAVAILABLE": "The server is there, but its services are not: it starts, or is being maintained. Try again in "
    "some minutes.",
    "UNREADABLE": "The configuration of the machine cannot be read: its host or datastore is lost, or the account may "
    "not see it. Nothing is known of its disks and adapters.",
    "UUID-REPEATED": "Several machines have the same instance uuid, as copies registered by hand may. They go by their "
    "morefs then, which change when they are registered anew.",
    "V2X-BUG": "Something that v2x did not expect. Run again with --verbose and report what it prints.",
    "VERIFY-MISMATCH": "The pool holds other bytes than were read. v2x copies the disk once more; if it differs again, "
    "the pool's storage or memory is suspect. The machine stays blocked from starting.",
    "VERSION-TOO-OLD": "The server speaks no version of the interface that v2x knows. Export the machines as OVA and "
    "migrate those.",
    "VLAN-DIFFERS": "Hosts have port groups of one name with different VLANs. Choose the network in the plan by hand.",
}
PAGES |= BATCH_PAGES | GUEST_PAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    code: str
    title: str
    text: str


def page(code: str) -> Page:
    """The page of an exit code, an error code or a rule id. UsageError for anything else."""
    if code.isdigit() and int(code) in EXIT_CODES:
        return Page(code=code, title="exit code", text=EXIT_CODES[int(code)])
    classes = error_classes()
    name = code.upper()
    if name in PAGES:
        return Page(code=name, title="error", text=PAGES[name])
    if name in classes:
        kind = classes[name]
        return Page(code=name, title=f"error, exit code {kind.exit_code}", text=(kind.__doc__ or "").strip())
    from v2x.assess.catalogue import find_rule

    rule = find_rule(code.lower())
    if rule is not None:
        unknown = "; ".join(f"{need.text} {need.how}" for need in rule.needs)
        text = f"{rule.label}.\n\nremedy: {rule.remedy}\nsource: {rule.source}"
        text += f"\nunknown where: {unknown}" if unknown else ""
        return Page(code=rule.id, title=f"rule, {rule.severity}", text=text)
    from v2x.plan.rules import find_plan_rule

    of_plan = find_plan_rule(code.lower())
    if of_plan is not None:
        text = f"{of_plan.label}.\n\nremedy: {of_plan.remedy}"
        return Page(code=of_plan.id, title=f"rule of v2x plan check, {of_plan.severity}", text=text)
    raise UsageError(f"no page for {code}", hint="docs/exit-codes.md and docs/rules.md list all codes")


def error_classes() -> dict[str, type[V2xError]]:
    """Error codes and their classes, of the whole tree."""
    found: dict[str, type[V2xError]] = {}
    waiting: list[type[V2xError]] = [V2xError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return found
