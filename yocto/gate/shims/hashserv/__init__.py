"""bitbake's hash server, which the PyPI package leaves out and the parser only imports."""
