//! The plan: one line for each crate, edge, door and exception. A change of the house is a change here, so it is seen.

/// What a crate is for, and so how much it may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// The contracts; no clock, socket, file, thread or OS randomness.
    Base,
    /// Pure logic, under the same bans.
    Pure,
    /// Work on media, in threads of its own.
    Media,
    /// The hardware as the system shows it: system calls, devices, disks, their files; programs use it.
    Hal,
    /// Programs: the only place for sockets, clocks and files.
    Bin,
    /// Tests and tools, which may see everything and are seen by nobody above.
    Bench,
}

/// Every crate, its floor, and its folder.
pub const CRATES: &[(&str, Floor, &str)] = &[
    ("base", Floor::Base, "firmware/base"),
    ("rtp", Floor::Pure, "firmware/proto/rtp"),
    ("sdp", Floor::Pure, "firmware/proto/sdp"),
    ("sip", Floor::Pure, "firmware/proto/sip"),
    ("webrtc", Floor::Pure, "firmware/proto/webrtc"),
    ("meet", Floor::Pure, "firmware/proto/meet"),
    ("ldap", Floor::Pure, "firmware/proto/ldap"),
    ("snmp", Floor::Pure, "firmware/proto/snmp"),
    ("domain", Floor::Pure, "firmware/domain"),
    ("hal", Floor::Pure, "hal"),
    ("linux", Floor::Hal, "hal/linux"),
    ("flash", Floor::Pure, "hal/flash"),
    ("flasher", Floor::Bin, "hal/flasher"),
    ("initrd", Floor::Hal, "hal/initrd"),
    ("init", Floor::Bin, "hal/init"),
    ("installer", Floor::Bin, "hal/installer"),
    ("board", Floor::Pure, "board"),
    ("ota", Floor::Pure, "ota"),
    ("otad", Floor::Bin, "ota/otad"),
    ("media-dsp", Floor::Media, "media-dsp"),
    ("kernels", Floor::Media, "media-dsp/kernels"),
    ("codecs", Floor::Media, "media-dsp/codecs"),
    ("gatewayd", Floor::Bin, "firmware/gatewayd"),
    ("store", Floor::Hal, "firmware/gatewayd/store"),
    ("console", Floor::Bin, "firmware/console"),
    ("xtask", Floor::Bench, "firmware/xtask"),
    ("floors", Floor::Bench, "tests/floors"),
    ("meet-sim", Floor::Bench, "tests/meet-sim"),
    ("e2e", Floor::Bench, "tests/e2e"),
    ("fuzz", Floor::Bench, "tests/fuzz"),
    ("bench", Floor::Bench, "tests/bench"),
];

/// Which crate of ours may use which, for its code and for its tests. [`Floor::Bench`] may use all.
pub const EDGES: &[(&str, &str)] = &[
    ("rtp", "base"),
    ("sdp", "base"),
    ("sip", "base"),
    ("sip", "sdp"),
    ("sip", "rtp"),
    ("webrtc", "base"),
    ("webrtc", "rtp"),
    ("meet", "base"),
    ("meet", "webrtc"),
    ("ldap", "base"),
    ("snmp", "base"),
    ("domain", "base"),
    ("hal", "base"),
    ("linux", "base"),
    ("linux", "hal"),
    // The digest of a claim code is made in one place.
    ("flash", "domain"),
    ("flasher", "flash"),
    ("init", "initrd"),
    ("init", "hal"),
    ("init", "linux"),
    ("installer", "initrd"),
    ("installer", "linux"),
    ("installer", "board"),
    ("installer", "flash"),
    ("codecs", "base"),
    ("codecs", "kernels"),
    ("media-dsp", "base"),
    ("media-dsp", "kernels"),
    ("media-dsp", "codecs"),
    ("gatewayd", "base"),
    ("gatewayd", "rtp"),
    ("gatewayd", "sdp"),
    ("gatewayd", "sip"),
    ("gatewayd", "meet"),
    ("gatewayd", "ldap"),
    ("gatewayd", "store"),
    ("gatewayd", "snmp"),
    ("gatewayd", "domain"),
    ("gatewayd", "media-dsp"),
    ("gatewayd", "hal"),
    ("gatewayd", "linux"),
    ("console", "base"),
    ("console", "domain"),
    ("console", "hal"),
    ("console", "linux"),
    ("console", "board"),
    ("ota", "base"),
    ("otad", "base"),
    ("otad", "ota"),
    ("otad", "hal"),
    ("otad", "linux"),
    ("otad", "board"),
    // A restart is asked for as the console does.
    ("otad", "domain"),
];

/// Outside crates with a door: the only crates of ours that may use them, and why.
pub const DOORS: &[(&str, &[&str], &str)] = &[
    ("rsip", &["sip"], "one front end makes it fit for real messages"),
    ("sdp-types", &["sdp"], "descriptions are read in one place"),
    ("rtc-srtp", &["rtp"], "behind one type of ours, so that it can be replaced"),
    ("rtp-types", &["rtp"], "packets are read in one place"),
    ("rtcp-types", &["rtp"], "packets are read in one place"),
    ("str0m", &["webrtc", "meet-sim", "bench"], "it changes with each release, so one crate wraps it"),
    ("x509-parser", &["domain", "gatewayd", "meet-sim"], "certificates are judged in one place"),
    ("ring", &["domain", "gatewayd"], "secrets are sealed where they are kept"),
    ("sled", &["store"], "the daemon alone owns the store, and the store the index"),
    (
        "nix",
        &["gatewayd", "console", "linux", "initrd", "init", "installer", "xtask", "e2e", "bench"],
        "system calls are made at the edge",
    ),
    ("seccompiler", &["gatewayd"], "a worker is confined where it begins"),
    ("postcard", &["media-dsp"], "what crosses to a worker is written and read in one place"),
    ("embedded-hal", &["linux"], "buses are spoken to by the crate that drives what hangs on them"),
    ("linux-embedded-hal", &["linux"], "buses are spoken to by the crate that drives what hangs on them"),
    ("openh264-sys2", &["codecs"], "C that eats hostile bitstreams stays in one crate"),
    ("libvpx-native-sys", &["codecs"], "C that eats hostile bitstreams stays in one crate"),
    ("opus", &["codecs"], "C that eats hostile bitstreams stays in one crate"),
    (
        "tokio",
        &["gatewayd", "console", "xtask", "meet-sim", "e2e"],
        "sockets, clocks and threads are the programs'",
    ),
    ("hyper", &["gatewayd", "xtask", "meet-sim", "e2e"], "sockets, clocks and threads are the programs'"),
    ("rustls", &["gatewayd", "xtask", "meet-sim", "e2e"], "connections are the programs'"),
    ("hickory-resolver", &["gatewayd", "console"], "names are looked up by programs"),
    (
        "anyhow",
        &[
            "gatewayd",
            "console",
            "otad",
            "initrd",
            "init",
            "installer",
            "flasher",
            "xtask",
            "floors",
            "meet-sim",
            "e2e",
            "fuzz",
            "bench",
        ],
        "libraries have errors of their own",
    ),
];

/// What [`Floor::Base`] may use from outside.
pub const BASE_USES: &[&str] = &["bytes", "thiserror"];

/// Folders in which `unsafe` may stand.
pub const UNSAFE: &[&str] = &[
    "media-dsp/kernels/",
    "media-dsp/codecs/",
    "firmware/gatewayd/src/net/",
    "hal/linux/",
    "hal/initrd/src/mapper.rs",
];

/// Folders of pure code, each with a `clippy.toml` that bans clocks, sockets, files, threads and OS randomness.
pub const PURE_FOLDERS: &[&str] =
    &["firmware/base", "firmware/proto", "firmware/domain", "board", "hal", "ota"];

/// What such a `clippy.toml` must ban at least.
pub const PURE_BANS: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::fs::File",
    "std::thread::spawn",
    "rand::rng",
];

/// Most lines of a file.
pub const FILE_LINES: usize = 800;

/// Names that say nothing about what is inside.
pub const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "misc"];

/// The crate of this name, if it is in the plan.
#[must_use]
pub fn floor(name: &str) -> Option<Floor> {
    CRATES.iter().find(|(known, ..)| *known == name).map(|(_, floor, _)| *floor)
}
