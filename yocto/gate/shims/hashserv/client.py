"""Nothing is asked of a hash server here."""


class Client:
    """Stands where bb.siggen looks for one."""
