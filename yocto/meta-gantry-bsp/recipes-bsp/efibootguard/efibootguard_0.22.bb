SUMMARY = "UEFI loader that arms the watchdog and falls back"
DESCRIPTION = "EFI Boot Guard: two redundant environments name the slot to start, and a slot that does not come up is left again."
HOMEPAGE = "https://github.com/siemens/efibootguard"
SECTION = "bootloaders"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://COPYING;md5=b234ee4d69f5fce4486a80fdaf4a4263"

DEPENDS = "autoconf-archive-native zlib"
DEPENDS:append:class-target = " gnu-efi pciutils"

SRC_URI = "${DEBIAN_MIRROR}/main/e/efibootguard/efibootguard_${PV}.orig.tar.xz"
SRC_URI[sha256sum] = "f9b6c1c0fc7f2bfb04f0ef1eddcfb021da9542557a28fd31f127c06cbb51d9bf"

inherit autotools deploy pkgconfig python3native

# The loader runs in the firmware, without the processor's vector units.
TUNE_CCARGS:remove = "-mfpmath=sse"

EXTRA_OECONF = "--disable-tests --disable-completion"
EXTRA_OECONF:append:class-target = "\
    --with-gnuefi-sys-dir=${STAGING_DIR_HOST} \
    --with-gnuefi-include-dir=${STAGING_INCDIR}/efi \
    --with-gnuefi-lib-dir=${STAGING_LIBDIR} \
"
# On the builder only the tools are wanted: bg_setenv writes the first environments, bg_gen_unified_kernel makes kernel images.
EXTRA_OECONF:append:class-native = " --disable-bootloader"

# What boots goes to the image builder. On the box stays nothing of it: otad writes the environments itself.
do_deploy() {
    install -m 0644 ${B}/efibootguard*.efi ${B}/kernel-stub*.efi ${DEPLOYDIR}/
}
do_deploy:class-native() {
    :
}
addtask deploy before do_build after do_compile

PACKAGES =+ "${PN}-tools"
FILES:${PN}-tools += "${bindir}"

COMPATIBLE_HOST:class-target = "(x86_64|aarch64).*-linux"

BBCLASSEXTEND = "native"
