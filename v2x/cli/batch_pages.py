# SPDX-License-Identifier: Apache-2.0
"""Pages of `v2x explain` about two plans of the same machines."""

BATCH_PAGES = {
    "PLAN-EDITED": "The plan was edited, and an earlier batch of it is not through. Two plans of the same machines are "
    "never mixed: v2x batch resume goes on with the one that was begun, v2x batch run --replace puts the edited one in "
    "its place. What was approved of the one does not count for the other.",
    "PLAN-REPLACED": "An edited plan took the place of this batch (v2x batch run --replace). What this machine has on "
    "the target stays, and the new batch goes on with it.",
}
