# Puts dm-verity's hash tree behind a squashfs, as `veritysetup format` does, without needing it: oe-core has no cryptsetup.
#
#   ${IMAGE_NAME}.squashfs-zst           what image.bbclass made
#   ${IMAGE_NAME}.squashfs-zst.verity    the same, then a block that describes the tree, then the tree from its top down
#   ${IMAGE_NAME}.squashfs-zst.roothash  root hash, number of blocks, salt: what the signed command line holds
#
# Format: Linux Documentation/admin-guide/device-mapper/verity.rst, version 1; the describing block is cryptsetup's.

GANTRY_VERITY_IMAGE = "${IMGDEPLOYDIR}/${IMAGE_NAME}.squashfs-zst"

def gantry_verity_tree(blocks, salt):
    """The levels of the tree over `blocks`, the lowest first, and its root hash."""
    import hashlib
    digest = lambda block: hashlib.sha256(salt + block).digest()
    levels = []
    hashes = [digest(block) for block in blocks]
    while len(hashes) > 1:
        level = []
        for start in range(0, len(hashes), 128):
            level.append(b"".join(hashes[start:start + 128]).ljust(4096, b"\0"))
        levels.append(level)
        hashes = [digest(block) for block in level]
    return levels, hashes[0]

def gantry_verity_superblock(block_count, salt, uuid):
    """The block that says what follows it."""
    import struct
    layout = "<8sII16s32sIIQH6x256s168x"
    head = struct.pack(layout, b"verity", 1, 1, uuid, b"sha256", 4096, 4096, block_count, len(salt), salt)
    return head.ljust(4096, b"\0")

def gantry_verity_behind(source, target, salt, uuid):
    """Writes `source` and its tree to `target`; returns the root hash in hex and the number of data blocks."""
    with open(source, "rb") as file:
        data = file.read()
    data = data.ljust(-(-len(data) // 4096) * 4096, b"\0")
    blocks = [data[start:start + 4096] for start in range(0, len(data), 4096)]
    levels, root = gantry_verity_tree(blocks, salt)
    with open(target, "wb") as file:
        file.write(data)
        file.write(gantry_verity_superblock(len(blocks), salt, uuid))
        for level in reversed(levels):
            file.write(b"".join(level))
    return root.hex(), len(blocks)

python do_gantry_verity() {
    import hashlib
    import os

    source = d.getVar("GANTRY_VERITY_IMAGE")
    # The salt follows from what is protected, so the same image has the same tree.
    with open(source, "rb") as file:
        seed = hashlib.sha256(file.read()).digest()
    root, blocks = gantry_verity_behind(source, source + ".verity", seed, seed[:16])
    size = os.path.getsize(source + ".verity")
    room = int(d.getVarFlag("GANTRY_PARTITION_MIB", "ROOT-A")) << 20
    if size > room:
        bb.fatal("the root takes %d bytes with its tree, and its partition has %d; the board's disk says so" % (size, room))
    with open(source + ".roothash", "w") as file:
        file.write("%s %d %s\n" % (root, blocks, seed.hex()))
}
do_gantry_verity[doc] = "Puts dm-verity's hash tree behind the squashfs"
addtask gantry_verity after do_image_squashfs_zst before do_image_wic do_image_complete
