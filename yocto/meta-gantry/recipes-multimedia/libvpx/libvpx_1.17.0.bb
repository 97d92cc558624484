SUMMARY = "VP8 and VP9 codec"
DESCRIPTION = "The reference encoder and decoder of VP8, which is what online meetings speak."
HOMEPAGE = "https://www.webmproject.org/"
SECTION = "libs"
LICENSE = "BSD-3-Clause"
LIC_FILES_CHKSUM = "file://LICENSE;md5=d5b04755015be901744a78cc30d390d4"

# nasm assembles the x86 parts.
DEPENDS:append:x86-64 = " nasm-native"

SRC_URI = "${DEBIAN_MIRROR}/main/libv/libvpx/libvpx_${PV}.orig.tar.gz"
SRC_URI[sha256sum] = "1020f184046187baa2985dbde38e0691f49c44088bca7a1842b0236c6081dc0a"

inherit pkgconfig

B = "${WORKDIR}/build"

LIBVPX_TARGET:x86-64 = "--target=x86_64-linux-gcc --as=nasm"
LIBVPX_TARGET:aarch64 = "--target=arm64-linux-gcc"

# libvpx-native-sys has bindings of just this version; another one refuses its encoder at run time (VPX_ENCODER_ABI_VERSION).
# It is linked statically, because codecs takes the place of its allocator; so there is no library of it on a box.
# Its configure is its own, not autoconf's. It links with the compiler, so the linker is the compiler.
do_configure() {
    export LD="${CC}"
    ${S}/configure ${LIBVPX_TARGET} --prefix=${prefix} --libdir=${libdir} --disable-shared --enable-static \
        --enable-pic --enable-vp8 --disable-vp9 --enable-runtime-cpu-detect --enable-realtime-only \
        --size-limit=16384x16384 --disable-examples --disable-tools --disable-docs --disable-unit-tests --disable-install-docs
}

do_compile() {
    oe_runmake
}

do_install() {
    oe_runmake install DESTDIR=${D}
}

# All of it is in libvpx-dev and libvpx-staticdev.
ALLOW_EMPTY:${PN} = "1"

COMPATIBLE_HOST = "(x86_64|aarch64).*-linux"
