"""bitbake's own configuration and recipe parser, over our layers and the doubles of oe-core.

The package `bitbake-setup` carries the genuine parser and fetchers. What it leaves out, the command and the servers, is not
needed to read a configuration as the command does: bblayers.conf, each layer.conf, bitbake.conf, machine, distribution, classes.
"""

import contextlib
import importlib.resources
import json
import logging
import os
import pathlib
import sys

GATE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(GATE / "shims"))

import bb.cache  # noqa: E402
import bb.codeparser  # noqa: E402
import bb.cooker  # noqa: E402
import bb.cookerdata  # noqa: E402
import bb.event  # noqa: E402
import bb.fetch2  # noqa: E402
import bb.parse  # noqa: E402

LAYERS = ("meta-gantry", "meta-gantry-bsp", "meta-gantry-distro")


class Heard(logging.Handler):
    """Keeps what bitbake complains about: it often says why in the log and raises something that says nothing."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def take(self):
        """What was said since the last time, each thing once."""
        lines, self.lines = list(dict.fromkeys(self.lines)), []
        return lines


HEARD = Heard()
logging.getLogger("BitBake").addHandler(HEARD)
logging.getLogger("BitBake").propagate = False


def machines(yocto):
    """The machines that the layers have."""
    return sorted(path.stem for path in (yocto / "meta-gantry-bsp/conf/machine").glob("*.conf"))


def renamed_variables():
    """Variables that the release no longer has, as oe-core's bitbake.conf tells bitbake; oelint keeps the list."""
    names = importlib.resources.files("oelint_data").joinpath("wrynose/core.json")
    return json.loads(names.read_text())["variables"]["renamed"]


class Bake:
    """One machine's configuration and the recipes that it has."""

    def __init__(self, yocto, build, machine, settings=()):
        self.yocto = pathlib.Path(yocto).resolve()
        self.machine = machine
        self.build = pathlib.Path(build).resolve() / machine
        self._write(settings)
        with contextlib.chdir(self.build):
            self.cooker = bb.cookerdata.CookerDataBuilder(self._configuration())
            self.cooker.parseBaseConfiguration()
            self.data = self.cooker.data
            self.files = bb.cooker.CookerCollectFiles(self._priorities())
            self.recipes, _, _ = self.files.collect_bbfiles(self.data, self.data)

    def _write(self, settings):
        conf = self.build / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        layers = [GATE / "doubles", *(self.yocto / layer for layer in LAYERS)]
        (conf / "bblayers.conf").write_text('BBPATH = "${TOPDIR}"\nBBFILES = ""\nBBLAYERS = "%s"\n' % " ".join(map(str, layers)))
        renamed = (f'BB_RENAMED_VARIABLES[{name}] = "{why}"' for name, why in renamed_variables().items())
        lines = [*renamed, f'MACHINE = "{self.machine}"', 'DISTRO = "gantry"', *(f'{name} = "{value}"' for name, value in settings)]
        (conf / "local.conf").write_text("\n".join(lines) + "\n")

    @staticmethod
    def _configuration():
        configuration = bb.cookerdata.CookerConfiguration()
        configuration.env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        configuration.tracking = True
        return configuration

    def _priorities(self):
        """As bb.cooker makes them of each layer's BBFILE_PATTERN."""
        import re

        collections = self.data.getVar("BBFILE_COLLECTIONS").split()
        return [
            (name, f"BBFILE_PATTERN_{name}", re.compile(self.data.getVar(f"BBFILE_PATTERN_{name}")), int(self.data.getVar(f"BBFILE_PRIORITY_{name}")))
            for name in collections
        ]

    def recipe(self, file):
        """The variants of a recipe (such as its native one), each with its data, after its appends."""
        with contextlib.chdir(self.build):
            layer = self.files.calc_bbfile_priority(file)[2]
            return self.cooker.parseRecipeVariants(file, self.files.get_file_appends(file), mc="", layername=layer)

    def ours(self, file):
        """Whether a recipe is one of our layers', or one that they add to."""
        return any(file.startswith(str(self.yocto / layer) + "/") for layer in LAYERS) or bool(self.files.get_file_appends(file))

    def name(self, file):
        """A recipe's file as a person looks for it."""
        path = pathlib.Path(file)
        return str(path.relative_to(self.yocto)) if path.is_relative_to(self.yocto) else path.name
