# Stands for oe-core's: the tasks of every recipe.
addtask fetch
addtask unpack after do_fetch
addtask patch after do_unpack
addtask configure after do_patch
addtask compile after do_configure
addtask install after do_compile
addtask package after do_install
addtask populate_sysroot after do_install
addtask build after do_package
python do_fetch() {
}
python do_unpack() {
}
python do_patch() {
}
do_configure() {
    :
}
do_compile() {
    :
}
do_install() {
    :
}
do_package() {
    :
}
do_populate_sysroot() {
    :
}
do_build() {
    :
}
