SUMMARY = "Stands for oe-core's kernel, which ours adds to"
LICENSE = "GPL-2.0-only"
PROVIDES = "virtual/kernel"
