SUMMARY = "The gateway: room systems into online meetings"
DESCRIPTION = "The daemon that takes calls of room systems over SIP and carries them into online meetings over WebRTC."
SECTION = "net"

require gantry.inc

# openh264 is assembled by nasm, Opus and aws-lc are configured by cmake; libvpx and libyuv are linked.
DEPENDS += "cmake-native libvpx libyuv nasm-native"

# openh264-sys2 leaves out what OpenH264 has for AVX2; both compilers must be told.
CXXFLAGS:append:x86-64 = " -DHAVE_AVX2"
NASMENV:x86-64 = "-DHAVE_AVX2"
export NASMENV

CARGO_SRC_DIR = "firmware/gatewayd"
