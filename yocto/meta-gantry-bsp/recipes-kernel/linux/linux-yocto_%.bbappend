# What every box needs of its kernel, and the board's own fragment, which stands beside its description.
FILESEXTRAPATHS:prepend:gantry-box := "${GANTRY_BOARDS}/${MACHINE}:${THISDIR}/${BPN}:"

SRC_URI:append:gantry-box = " file://gantry.cfg file://kernel.cfg"

# The recipe of oe-core names its machines; ours are built as their generic ones.
COMPATIBLE_MACHINE:gantry-box = "^(x86-rack|arm-rack|qemu-x86_64|qemu-aarch64)$"
KMACHINE:gantry-x86-64 = "common-pc-64"
KMACHINE:gantry-aarch64 = "genericarm64"
