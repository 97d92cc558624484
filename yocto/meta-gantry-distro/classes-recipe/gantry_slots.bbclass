# What stands in the boot partitions: a kernel image for each slot, EFI Boot Guard's environments, and the loader itself.
#
#   ESP      EFI/BOOT/BOOT<arch>.EFI              EFI Boot Guard
#            EFI/GANTRY/RECOVERY.EFI              the recovery, which names RECOVERY
#   BOOT-A   EFILABEL, BGENV.DAT, gantry.efi      slot A: its kernel image names ROOT-A and the root hash
#   BOOT-B   the same                             slot B: its kernel image names ROOT-B
#
# It is the same chain, file by file, as in the Debian-built image (firmware/xtask/src/image). The board's figures (GANTRY_*)
# are written by `cargo xtask yocto layout`. Signing for Secure Boot is a step of its own, after the build.

inherit gantry_verity

IMAGE_FSTYPES = "squashfs-zst wic wic.bmap"

GANTRY_SLOTS = "${WORKDIR}/gantry-slots"
GANTRY_INITRD = "${WORKDIR}/gantry-initrd"

def gantry_module_files(folder, names):
    """The files under a kernel's module folder that loading `names` in this order needs; what is built in needs none."""
    import os
    plain = lambda path: os.path.basename(path).split(".ko")[0].replace("-", "_")
    needs = {}
    with open(os.path.join(folder, "modules.dep")) as file:
        for line in file:
            path, _, others = line.partition(":")
            # The last of what a module needs comes first.
            needs[plain(path)] = list(reversed(others.split())) + [path]
    with open(os.path.join(folder, "modules.builtin")) as file:
        built_in = {plain(line.strip()) for line in file}
    files = []
    for name in names:
        key = name.replace("-", "_")
        if key not in needs and key not in built_in:
            bb.fatal("the kernel has no module %s, which the board's kernel.initrd names; add it to the board's kernel.cfg" % name)
        files += [path for path in needs.get(key, []) if path not in files]
    return files

# The tree of the initrd: hal/init's program, and the modules that the board says lead to the root. The console's device comes from
# the initramfs that is in every kernel.
python do_gantry_initrd() {
    import glob
    import os
    import shutil

    target = d.getVar("GANTRY_INITRD")
    modules = glob.glob(d.expand("${IMAGE_ROOTFS}${nonarch_libdir}/modules/*/modules.dep"))
    if len(modules) != 1:
        bb.fatal("the root holds the modules of %d kernels, and must hold those of one" % len(modules))
    folder = os.path.dirname(modules[0])
    for name in ("boot", "dev", "modules", "proc", "root", "run", "sys"):
        bb.utils.mkdirhier(os.path.join(target, name))
    done = []
    for moment in ("early", "late"):
        lines = []
        for path in gantry_module_files(folder, (d.getVar("GANTRY_MODULES_" + moment.upper()) or "").split()):
            if path in done:
                continue
            done.append(path)
            shutil.copy(os.path.join(folder, path), os.path.join(target, "modules"))
            lines.append("/modules/" + os.path.basename(path) + "\n")
        with open(os.path.join(target, "modules", moment), "w") as file:
            file.writelines(lines)
    shutil.copy(d.expand("${DEPLOY_DIR_IMAGE}/gantry-init-${MACHINE}"), os.path.join(target, "init"))
}
do_gantry_initrd[doc] = "Makes the tree of the initrd: the first process, and the modules that lead to the root"
do_gantry_initrd[cleandirs] = "${GANTRY_INITRD}"
do_gantry_initrd[depends] += "gantry-init:do_deploy"
addtask gantry_initrd after do_rootfs before do_gantry_slots

# Makes a kernel image: the slot's name, the partition of its root, the file.
gantry_kernel_image() {
    read -r root_hash blocks salt < ${GANTRY_VERITY_IMAGE}.roothash
    bg_gen_unified_kernel \
        --cmdline "${GANTRY_KERNEL_ARGUMENTS} gantry.slot=$1 gantry.root=$2 gantry.verity=$root_hash,$salt,$blocks" \
        --initrd ${GANTRY_SLOTS}/initrd.gz \
        ${DEPLOY_DIR_IMAGE}/kernel-stub${GANTRY_EFI_ARCH}.efi ${DEPLOY_DIR_IMAGE}/${KERNEL_IMAGETYPE} $3
}

# Makes a slot's boot partition: the slot's name, its letter, the revision of its environment (the higher one starts).
gantry_slot() {
    folder="${GANTRY_SLOTS}/boot-$1"
    install -d $folder
    gantry_kernel_image $1 ROOT-$2 $folder/gantry.efi
    # The loader finds the partition by this file: not every firmware shows a volume's label.
    printf 'BOOT-%s' $2 | iconv -t UTF-16LE > $folder/EFILABEL
    bg_setenv --filepath=$folder/BGENV.DAT --kernel="C:BOOT-$2:gantry.efi" --args= --revision=$3 \
        --ustate=OK --watchdog=${GANTRY_WATCHDOG_TIMEOUT}
    gantry_fat BOOT-$2 "$(gantry_size BOOT-$2)" $folder
}

# Makes a FAT32 file system: its label, its size in MiB, and the folder that is put into it.
gantry_fat() {
    image="${GANTRY_SLOTS}/$1.vfat"
    rm -f $image
    mkfs.vfat --invariant -F 32 -n "$1" -C $image $(expr "$2" \* 1024)
    mcopy -i $image -s -m $3/* ::/
}

# The size of a partition in MiB.
gantry_size() {
    case "$1" in
    ESP) echo "${@d.getVarFlag('GANTRY_PARTITION_MIB', 'ESP')}" ;;
    BOOT-A) echo "${@d.getVarFlag('GANTRY_PARTITION_MIB', 'BOOT-A')}" ;;
    BOOT-B) echo "${@d.getVarFlag('GANTRY_PARTITION_MIB', 'BOOT-B')}" ;;
    *) bbfatal "the board has no size for partition $1; run cargo xtask yocto layout" ;;
    esac
}

do_gantry_slots() {
    (cd ${GANTRY_INITRD} && find . | LC_ALL=C sort | cpio --reproducible --owner 0:0 --create --format newc) | gzip -9 -n > ${GANTRY_SLOTS}/initrd.gz
    gantry_slot a A 2
    gantry_slot b B 1
    esp="${GANTRY_SLOTS}/esp/EFI"
    install -d $esp/BOOT $esp/GANTRY
    install -m 0644 ${DEPLOY_DIR_IMAGE}/efibootguard${GANTRY_EFI_ARCH}.efi $esp/BOOT/${GANTRY_EFI_LOADER}
    gantry_kernel_image recovery RECOVERY $esp/GANTRY/RECOVERY.EFI
    gantry_fat ESP "$(gantry_size ESP)" ${GANTRY_SLOTS}/esp
}
do_gantry_slots[doc] = "Makes the boot partitions: kernel images, environments, loader"
do_gantry_slots[cleandirs] = "${GANTRY_SLOTS}"
do_gantry_slots[depends] += "\
    cpio-native:do_populate_sysroot \
    dosfstools-native:do_populate_sysroot \
    efibootguard-native:do_populate_sysroot \
    efibootguard:do_deploy \
    mtools-native:do_populate_sysroot \
    virtual/kernel:do_deploy \
"
addtask gantry_slots after do_gantry_verity before do_image_wic do_image_complete

# wic has no word for the disk's own GUID.
IMAGE_CMD:wic:append() {
    sgdisk --disk-guid=${GANTRY_DISK_GUID} "${IMGDEPLOYDIR}/${IMAGE_NAME}.wic"
}
do_image_wic[depends] += "gptfdisk-native:do_populate_sysroot"
