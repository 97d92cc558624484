SUMMARY = "The kernel's packet filter over netlink"
DESCRIPTION = "Library that speaks nf_tables' netlink messages; nft needs it."
HOMEPAGE = "https://netfilter.org/projects/libnftnl"
SECTION = "libs"
LICENSE = "GPL-2.0-or-later"
LIC_FILES_CHKSUM = "file://COPYING;md5=79808397c3355f163c012616125c9e26"

DEPENDS = "libmnl"

SRC_URI = "https://netfilter.org/projects/libnftnl/files/${BP}.tar.xz"
SRC_URI[sha256sum] = "c97abc3409f8fa396b4462b2bb7f147a3a47a4ddc97cfa0b2f18890c9cfde8b0"

inherit autotools pkgconfig
