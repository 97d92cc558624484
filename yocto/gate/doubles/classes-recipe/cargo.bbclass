# Stands for oe-core's: cargo builds the package in CARGO_SRC_DIR, frozen.
B = "${WORKDIR}/build"
CARGO_HOME = "${UNPACKDIR}/cargo_home"
CARGO_SRC_DIR ??= ""
CARGO_MANIFEST_PATH ??= "${S}/${CARGO_SRC_DIR}/Cargo.toml"
CARGO_BUILD_FLAGS = "-v --frozen --release --manifest-path=${CARGO_MANIFEST_PATH}"
CARGO_TARGET_SUBDIR = "${TARGET_ARCH}-gantry-linux-gnu/release"
