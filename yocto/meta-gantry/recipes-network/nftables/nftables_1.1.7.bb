SUMMARY = "The packet filter's command"
DESCRIPTION = "nft loads the rules of the box: the ports of its configuration are open, nothing else."
HOMEPAGE = "https://netfilter.org/projects/nftables"
SECTION = "net"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://COPYING;md5=81ec33bb3e47b460fc993ac768c74b62"

DEPENDS = "bison-native flex-native libmnl libnftnl"

SRC_URI = "https://netfilter.org/projects/nftables/files/${BP}.tar.xz"
SRC_URI[sha256sum] = "a6fbf060d8d4fff001517a2b94f356bb4366bfbf0ba366366f9d27cc38caa58f"

inherit autotools pkgconfig

# Only what loads a file of rules: no prompt, no JSON, no interpreter.
EXTRA_OECONF = "--with-mini-gmp --without-cli --without-json --without-xtables --disable-man-doc"
