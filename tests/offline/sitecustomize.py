"""Python runs this at its start where the folder is on PYTHONPATH: it covers subprocesses."""

import no_network  # noqa: F401 - the import is the act
