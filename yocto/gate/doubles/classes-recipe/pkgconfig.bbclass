# Stands for oe-core's.
