SUMMARY = "Scaling and conversion of pictures"
DESCRIPTION = "Row functions for YUV pictures, with SIMD chosen at run time."
HOMEPAGE = "https://chromium.googlesource.com/libyuv/libyuv"
SECTION = "libs"
LICENSE = "BSD-3-Clause"
LIC_FILES_CHKSUM = "file://LICENSE;md5=464282cfb405b005b9637f11103a7325"

SRC_URI = "${DEBIAN_MIRROR}/main/liby/libyuv/libyuv_0.0~git${PV}.b2528b0.orig.tar.gz"
SRC_URI[sha256sum] = "cc22ebe94004ac2e5718acdc45980c6f3b83599f19f5bd768c5ca034de659eef"

S = "${UNPACKDIR}/libyuv-0.0~git${PV}.b2528b0"

inherit cmake

# The tree asks for a CMake that is older than what CMake 4 still serves, and gives its library no soname.
EXTRA_OECMAKE = "\
    -DCMAKE_POLICY_VERSION_MINIMUM=3.5 \
    -DCMAKE_DISABLE_FIND_PACKAGE_JPEG=ON \
    -DCMAKE_SHARED_LINKER_FLAGS='${LDFLAGS} -Wl,-soname,libyuv.so.0' \
"
OECMAKE_TARGET_COMPILE = "yuv_shared"

# Its own install rule wants the tools and the static library too.
do_install() {
    install -d ${D}${libdir} ${D}${includedir}
    install -m 0755 ${B}/libyuv.so ${D}${libdir}/libyuv.so.0
    ln -s libyuv.so.0 ${D}${libdir}/libyuv.so
    cp -r --no-preserve=ownership ${S}/include/libyuv ${S}/include/libyuv.h ${D}${includedir}/
}
