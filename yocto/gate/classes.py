"""Runs the tasks of our image classes on a small made-up root, with bitbake's own way of running tasks, and looks at what they made.

usage: classes.py <yocto folder> <build folder>      exit status 1 if something is wrong

The tools are real (mkfs.vfat, mcopy, cpio, bg_setenv, bg_gen_unified_kernel; veritysetup as the judge of the hash tree), and so
are the loader and its stub, which are Debian's. The kernel is the loader once more: an EFI program of some size is all that is wanted.
"""

import os
import pathlib
import random
import shutil
import subprocess
import sys

import bake
import bb.build

MACHINE = "qemu-x86_64"
# In the order in which an image is made.
TASKS = ("gantry_box_files", "gantry_box_name", "gantry_box_empty", "do_gantry_verity", "do_gantry_initrd", "do_gantry_slots")
LOADER = pathlib.Path("/usr/lib/x86_64-linux-gnu/efibootguard")
MODULES = {
    "modules.dep": "kernel/fs/squashfs.ko:\nkernel/dm-mod.ko: kernel/dax.ko\nkernel/dax.ko:\n"
    "kernel/dm-verity.ko: kernel/dm-bufio.ko kernel/dm-mod.ko kernel/dax.ko\nkernel/dm-bufio.ko: kernel/dm-mod.ko kernel/dax.ko\n"
    "kernel/i6300esb.ko:\n",
    "modules.builtin": "kernel/virtio_pci.ko\nkernel/virtio_blk.ko\n",
}


def run(*words):
    """What a program prints."""
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def root(data):
    """A root to make an image of, and what the other recipes would have handed over."""
    deploy, images, rootfs = (pathlib.Path(data.getVar(name)) for name in ("DEPLOY_DIR_IMAGE", "IMGDEPLOYDIR", "IMAGE_ROOTFS"))
    modules = rootfs / "usr/lib/modules/6.18.0"
    for folder in (deploy, images, modules / "kernel/fs", pathlib.Path(data.getVar("T"))):
        folder.mkdir(parents=True)
    for name, text in MODULES.items():
        (modules / name).write_text(text)
    for name in ("fs/squashfs", "dm-mod", "dax", "dm-verity", "dm-bufio", "i6300esb"):
        (modules / "kernel" / f"{name}.ko").write_text(f"module {name}")
    # What packages would have left: a shell, one of its names, a unit that is started, an account.
    for name in ("usr/bin/busybox", "usr/sbin/nft", "etc/passwd", "usr/lib/systemd/system/getty.target.wants/getty@tty1.service"):
        (rootfs / name).parent.mkdir(parents=True, exist_ok=True)
        (rootfs / name).write_text("from a package\n")
    (rootfs / "usr/bin/sh").symlink_to("busybox")
    (rootfs / "usr/bin/vi").symlink_to("busybox")
    for name in ("efibootguardx64.efi", "kernel-stubx64.efi"):
        shutil.copy(LOADER / name, deploy)
    shutil.copy(LOADER / "efibootguardx64.efi", deploy / data.getVar("KERNEL_IMAGETYPE"))
    (deploy / f"gantry-init-{MACHINE}").write_text("the first process")
    # More than 128 * 128 blocks make a tree of three levels; the last block is not full.
    pathlib.Path(data.getVar("GANTRY_VERITY_IMAGE")).write_bytes(random.Random(1).randbytes(4096 * 16500 + 100))


def box(data):
    """The root is a box's: its own units and users, its board, and no shell."""
    rootfs = pathlib.Path(data.getVar("IMAGE_ROOTFS"))
    units = "usr/lib/systemd/system"
    for name in ("boot/a", "data", f"{units}/gatewayd.service", f"{units}/multi-user.target.wants/gatewayd.service", "usr/sbin/nft"):
        if not (rootfs / name).exists():
            yield f"gantry_box.bbclass: the root lacks {name}"
    for name in ("usr/bin/busybox", "usr/bin/sh", "usr/bin/vi", f"{units}/getty.target.wants"):
        if os.path.lexists(rootfs / name):
            yield f"gantry_box.bbclass: the root still has {name}"
    for name, word in (
        ("etc/passwd", "gatewayd:x:810:800:"),
        ("usr/share/gantry/board.toml", f'name = "{MACHINE}"'),
        ("usr/lib/os-release", f"IMAGE_ID={MACHINE}"),
        ("usr/lib/systemd/network/10-lan0.link", "Name=lan0"),
    ):
        if word not in (rootfs / name).read_text():
            yield f"gantry_box.bbclass: {name} lacks {word}"


def verity(data):
    """The hash tree is the one that veritysetup makes, to the bit."""
    image = pathlib.Path(data.getVar("GANTRY_VERITY_IMAGE"))
    digest, blocks, salt = pathlib.Path(f"{image}.roothash").read_text().split()
    made = pathlib.Path(f"{image}.verity")
    judged = image.with_suffix(".judged")
    whole = int(blocks) * 4096
    judged.write_bytes(made.read_bytes()[:whole])
    uuid = f"{salt[:8]}-{salt[8:12]}-{salt[12:16]}-{salt[16:20]}-{salt[20:32]}"
    said = run("veritysetup", "format", f"--data-blocks={blocks}", f"--hash-offset={whole}", f"--salt={salt}", f"--uuid={uuid}", judged, judged)
    if digest not in said:
        yield f"gantry_verity.bbclass: the root hash is {digest}, veritysetup says otherwise: {said.split('Root hash:')[-1].strip()}"
    if made.read_bytes() != judged.read_bytes():
        yield "gantry_verity.bbclass: the tree is not the one that veritysetup makes"


def initrd(data):
    """Modules come after what they need, and a watchdog's driver last."""
    folder = pathlib.Path(data.getVar("GANTRY_INITRD"))
    for moment, wanted in (("early", "dax dm-mod dm-bufio dm-verity squashfs"), ("late", "i6300esb")):
        found = [pathlib.Path(line).stem for line in (folder / "modules" / moment).read_text().splitlines()]
        if found != wanted.split():
            yield f"gantry_slots.bbclass: modules/{moment} has {' '.join(found)}, and must have {wanted}"
    names = run("sh", "-c", f"zcat {data.getVar('GANTRY_SLOTS')}/initrd.gz | cpio --list --quiet").split()
    for name in ("init", "modules/early", "modules/dm-verity.ko", "root"):
        if name not in names:
            yield f"gantry_slots.bbclass: the initrd lacks {name}"


def command_line(image):
    """The command line that is in a kernel image."""
    text = image.read_bytes().decode("utf-16-le", "ignore")
    return next((line.split("\0")[0] for line in text[text.find("console=") :].splitlines()), "")


def kernel_images(data, boot):
    """Each slot, and the recovery, starts its own root."""
    digest, blocks, salt = pathlib.Path(data.getVar("GANTRY_VERITY_IMAGE") + ".roothash").read_text().split()
    for name, partition, file in (
        ("a", "ROOT-A", boot["BOOT-A"] / "gantry.efi"),
        ("b", "ROOT-B", boot["BOOT-B"] / "gantry.efi"),
        ("recovery", "RECOVERY", boot["ESP"] / "EFI/GANTRY/RECOVERY.EFI"),
    ):
        found = command_line(file)
        wanted = f"gantry.slot={name} gantry.root={partition} gantry.verity={digest},{salt},{blocks}"
        if found != f"{data.getVar('GANTRY_KERNEL_ARGUMENTS')} {wanted}":
            yield f"gantry_slots.bbclass: slot {name} is started with `{found}`, which must be the board's arguments and `{wanted}`"


def slots(data):
    """The boot partitions are as large as the board says, and hold what the loader looks for."""
    folder = pathlib.Path(data.getVar("GANTRY_SLOTS"))
    boot = {}
    for partition in ("ESP", "BOOT-A", "BOOT-B"):
        image, out = folder / f"{partition}.vfat", folder / f"out-{partition}"
        if image.stat().st_size != int(data.getVarFlag("GANTRY_PARTITION_MIB", partition)) << 20:
            yield f"gantry_slots.bbclass: {partition} is not as large as its partition"
        run("mcopy", "-i", image, "-s", "::", out)
        boot[partition] = out
    yield from kernel_images(data, boot)
    for partition, revision in (("BOOT-A", 2), ("BOOT-B", 1)):
        environment = run("bg_printenv", f"--filepath={boot[partition]}/BGENV.DAT")
        for word in (f"C:{partition}:gantry.efi", str(revision), data.getVar("GANTRY_WATCHDOG_TIMEOUT")):
            if word not in environment.split():
                yield f"gantry_slots.bbclass: {partition}'s environment lacks {word}: {' '.join(environment.split())}"
        if (boot[partition] / "EFILABEL").read_bytes() != partition.encode("utf-16-le"):
            yield f"gantry_slots.bbclass: {partition} has another label in EFILABEL"
    if (boot["ESP"] / "EFI/BOOT/BOOTX64.EFI").read_bytes() != (LOADER / "efibootguardx64.efi").read_bytes():
        yield "gantry_slots.bbclass: the ESP has no loader where firmware looks for it"


def tasks(data, log):
    """Runs the tasks as bitbake does; says which one failed, if one did."""
    kept = os.dup(1)
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        try:
            for task in TASKS:
                bb.build.exec_func(task, data)
        except Exception as problem:  # noqa: BLE001
            said = [*bake.HEARD.take(), str(problem), *log.read_text().splitlines()[-5:]]
            return f"{task} fails: {' '.join(' '.join(said).split())}"
        finally:
            os.dup2(kept, 1)
    return None


def main():
    yocto, build = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    work = build / "classes"
    shutil.rmtree(work, ignore_errors=True)
    baked = bake.Bake(yocto, work, MACHINE)
    (file,) = [file for file in baked.recipes if file.endswith("/gantry-image.bb")]
    data = baked.recipe(file)[""]
    data.setVar("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    os.environ["PATH"] = data.getVar("PATH")
    root(data)
    failed = tasks(data, work / "tasks.log")
    problems = [failed] if failed else [*box(data), *verity(data), *initrd(data), *slots(data)]
    shutil.rmtree(work)
    if problems:
        print("\n".join(problems))
        return 1
    print(f"{len(TASKS)} steps of the image run, their files looked at")
    return 0


if __name__ == "__main__":
    sys.exit(main())
