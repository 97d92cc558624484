"""The rig of the box: labgrid's drivers, what of ours stands beside them, and what suites do with a box."""
