SUMMARY = "The TPM's software stack"
DESCRIPTION = "Libraries that speak to a TPM 2.0; systemd opens them to seal the key over the gateway's secrets."
HOMEPAGE = "https://github.com/tpm2-software/tpm2-tss"
SECTION = "libs"
LICENSE = "BSD-2-Clause"
LIC_FILES_CHKSUM = "file://LICENSE;md5=500b2e742befc3da00684d8a1d5fd9da"

DEPENDS = "openssl"

SRC_URI = "${DEBIAN_MIRROR}/main/t/tpm2-tss/tpm2-tss_${PV}.orig.tar.gz"
SRC_URI[sha256sum] = "9ae0330c8457a57c6f06fb1007741f90936f7cd9838616997b1a3312855aa2a9"

inherit autotools pkgconfig

# What systemd opens, and nothing else: no policies, no simulators, no daemon.
EXTRA_OECONF = "\
    --disable-fapi \
    --disable-policy \
    --disable-tcti-cmd \
    --disable-tcti-mssim \
    --disable-tcti-swtpm \
    --disable-doxygen-doc \
    --with-crypto=ossl \
"

# The names that systemd's recipe asks for.
PACKAGES =+ "libtss2-tcti-device libtss2"
FILES:libtss2-tcti-device += "${libdir}/libtss2-tcti-device.so.*"
FILES:libtss2 += "${libdir}/libtss2-*.so.*"
