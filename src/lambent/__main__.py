"""The console script `lambent`, also `python -m lambent`."""

from __future__ import annotations

import sys

from lambent.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
