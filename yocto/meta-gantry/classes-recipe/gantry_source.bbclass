# The source of a recipe is the repository that the layer lies in, at the revision that is checked out: what is built is what
# is committed, nothing else. GANTRY_REVISION pins another revision, GANTRY_REPOSITORY another clone.

GANTRY_REVISION ?= "${@gantry_revision(d)}"

SRC_URI = "git://${GANTRY_REPOSITORY};protocol=file;nobranch=1"
SRCREV = "${GANTRY_REVISION}"

# The revision is asked for at each parse, so a cached one is never built.
BB_DONT_CACHE = "1"

def gantry_revision(d):
    """The commit that is checked out in GANTRY_REPOSITORY."""
    import bb.process
    repository = d.getVar("GANTRY_REPOSITORY")
    try:
        revision, _ = bb.process.run(["git", "-C", repository, "rev-parse", "--verify", "HEAD"])
    except bb.process.CmdError as problem:
        bb.fatal("GANTRY_REPOSITORY %s is no git repository; set it to a clone of this project: %s" % (repository, problem))
    return revision.strip()
