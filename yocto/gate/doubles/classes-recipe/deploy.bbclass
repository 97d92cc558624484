# Stands for oe-core's: a recipe that hands files to the image builder.
do_deploy() {
    :
}
