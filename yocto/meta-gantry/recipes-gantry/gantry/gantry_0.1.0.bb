SUMMARY = "Set-up of the box"
DESCRIPTION = "gantry: serial console, front panel and command line, one menu for all three."
SECTION = "console"

require gantry.inc

CARGO_SRC_DIR = "firmware/console"
