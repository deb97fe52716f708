"""``python -m meanfield`` is the command line."""

import sys

from meanfield.cli import main

if __name__ == "__main__":
    sys.exit(main())
