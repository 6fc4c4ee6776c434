"""The keys: settings → every room, built in order → a running server.

The only room that names implementations. Lifetimes stack (`serving`): what is opened later is closed earlier, so a
stopping server ends requests, then environments, then listeners of facts, then the sandbox, then the store. The other
files build what takes more than a line.
"""

from __future__ import annotations

from lambent.app.serving import SERVICES, running, serve

__all__ = ["SERVICES", "running", "serve"]
