SUMMARY = "The first process of a start"
DESCRIPTION = "Finds the slot's root, opens it under dm-verity and becomes systemd. It is all that an initrd holds, beside modules."
SECTION = "base"

require gantry.inc

inherit deploy

CARGO_SRC_DIR = "hal/init"

# There is no library in an initrd.
RUSTFLAGS:append = " -C target-feature=+crt-static"

# It is no part of the root: it goes to the image builder, and the package is empty.
do_install() {
    install -d ${D}${libexecdir}/gantry
    install -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/init ${D}${libexecdir}/gantry/init
}
do_deploy() {
    install -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/init ${DEPLOYDIR}/gantry-init-${MACHINE}
}
addtask deploy after do_compile before do_build

PACKAGE_ARCH = "${MACHINE_ARCH}"
FILES:${PN} += "${libexecdir}/gantry"
