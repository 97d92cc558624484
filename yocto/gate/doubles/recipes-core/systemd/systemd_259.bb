SUMMARY = "Double of oe-core's recipe: enough to be appended to"
LICENSE = "LGPL-2.1-or-later"

PACKAGECONFIG[tpm2] = "-Dtpm2=enabled,-Dtpm2=disabled,tpm2-tss,tpm2-tss libtss2 libtss2-tcti-device"
