# Makes a root of ours of what the packages installed: the files of board/rootfs, which both builders lay, the board's own, the
# users, and nothing that could be got into.

ROOTFS_POSTPROCESS_COMMAND += "gantry_box_files gantry_box_name gantry_box_empty"
do_rootfs[file-checksums] += "\
    ${GANTRY_ACCOUNTS}:True \
    ${GANTRY_BOARDS}/${MACHINE}/board.toml:True \
    ${GANTRY_BOARDS}/rootfs:True \
    ${GANTRY_BOARD_FILES}/${MACHINE}:True \
"

# What starts is what board/rootfs says, as on the Debian-built image: what packages would have started is forgotten first.
gantry_box_files() {
    rm -rf ${IMAGE_ROOTFS}${systemd_system_unitdir}/*.wants ${IMAGE_ROOTFS}${sysconfdir}/systemd/system
    install -d ${IMAGE_ROOTFS}/boot/a ${IMAGE_ROOTFS}/boot/b ${IMAGE_ROOTFS}/data
    cp -R --no-preserve=ownership --remove-destination \
        ${GANTRY_BOARDS}/rootfs/. ${GANTRY_BOARD_FILES}/${MACHINE}/. ${IMAGE_ROOTFS}/
    install -D -m 0644 ${GANTRY_BOARDS}/${MACHINE}/board.toml ${IMAGE_ROOTFS}${datadir}/gantry/board.toml
    install -m 0644 ${GANTRY_ACCOUNTS}/group ${GANTRY_ACCOUNTS}/passwd ${IMAGE_ROOTFS}${sysconfdir}/
    # The initrd lays the box's own over it.
    : > ${IMAGE_ROOTFS}${sysconfdir}/machine-id
    chmod 0444 ${IMAGE_ROOTFS}${sysconfdir}/machine-id
}

gantry_box_name() {
    printf '%s\n' \
        "ID=gantry" \
        "NAME=Gantry" \
        "PRETTY_NAME=\"Gantry ${DISTRO_VERSION}\"" \
        "VERSION_ID=${DISTRO_VERSION}" \
        "IMAGE_ID=${GANTRY_BOARD}" \
        "IMAGE_VERSION=${DISTRO_VERSION}" \
        "VARIANT_ID=release" > ${IMAGE_ROOTFS}${nonarch_libdir}/os-release
}

# A release image holds no shell and no interpreter.
gantry_box_empty() {
    for folder in ${bindir} ${sbindir} ${base_bindir} ${base_sbindir}; do
        for name in ash awk bash busybox busybox.nosuid busybox.suid dash gawk lua mawk perl python3 sh sulogin; do
            rm -f ${IMAGE_ROOTFS}$folder/$name
        done
    done
    # The names of tools that are gone.
    find ${IMAGE_ROOTFS}${bindir} ${IMAGE_ROOTFS}${sbindir} -xtype l -delete
}
