"""bitbake's package revision server, which the PyPI package leaves out and the cooker only imports."""
