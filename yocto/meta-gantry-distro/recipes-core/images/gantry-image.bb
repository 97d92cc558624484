SUMMARY = "The box"
DESCRIPTION = "A release image: two slots and a recovery, a verified read-only root, no shell, no login."
LICENSE = "MIT | Apache-2.0"

inherit core-image gantry_box gantry_slots

IMAGE_INSTALL = "\
    base-files \
    e2fsprogs-e2fsck \
    e2fsprogs-mke2fs \
    gantry \
    gatewayd \
    kernel-modules \
    kmod \
    nftables \
    otad \
    systemd \
    udev \
    util-linux-fsck \
    util-linux-mount \
    util-linux-umount \
"
# Units are enabled by links in board/rootfs, not by presets.
IMAGE_FEATURES = "read-only-rootfs stateless-rootfs"
IMAGE_LINGUAS = ""

COMPATIBLE_MACHINE = "gantry-box"
