SUMMARY = "Whether a start was a good one"
DESCRIPTION = "otad: asks the box's services whether they are well, marks the slot good or gives it up, and keeps the second watchdog."
SECTION = "base"

require gantry.inc

CARGO_SRC_DIR = "ota/otad"
