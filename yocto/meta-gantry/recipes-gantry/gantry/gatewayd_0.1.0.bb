SUMMARY = "The gateway: room systems into online meetings"
DESCRIPTION = "The daemon that takes calls of room systems over SIP and carries them into online meetings over WebRTC."
SECTION = "net"

require gantry.inc

# openh264 is assembled by nasm, Opus and aws-lc are configured by cmake; libvpx and libyuv are linked.
DEPENDS += "cmake-native libvpx libyuv nasm-native"

CARGO_SRC_DIR = "firmware/gatewayd"
