"""The command line: a client of the public API, except `lambent up`, which starts the server.

Every command speaks to an endpoint the way any AWS SDK does, so whatever works here works with boto3, and
with `--aws` the same commands work against AWS itself. The room knows nothing of how Lambent is built inside.
"""

from __future__ import annotations

from lambent.cli.main import main

__all__ = ["main"]
