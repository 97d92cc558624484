# Stands for oe-core's: builds beside the source.
B = "${WORKDIR}/build"
