# Stands for oe-core's: the tasks of an image. image.bbclass makes one for each type of IMAGE_FSTYPES.
addtask rootfs after do_install
addtask image after do_rootfs
addtask image_squashfs_zst after do_image
addtask image_wic after do_image
addtask image_complete after do_image_wic before do_build
do_rootfs() {
    :
}
do_image() {
    :
}
do_image_squashfs_zst() {
    :
}
do_image_wic() {
    :
}
do_image_complete() {
    :
}
IMAGE_CMD:wic() {
    :
}
