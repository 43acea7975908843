"""`python -P -m wattline`: the command without its script."""

import sys

from wattline.cli import main

if __name__ == "__main__":
    sys.exit(main())
