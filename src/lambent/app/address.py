"""Where the server listens: refused where that would be an open door, bound before anything else is built."""

from __future__ import annotations

import logging
import os
from typing import Any

from lambent.gateway.auth import is_loopback
from lambent.gateway.server import bind
from lambent.settings import Settings, SettingsError

_log = logging.getLogger(__name__)


def check_address(settings: Settings) -> None:
    """Refuse to offer an open door to other machines."""
    host = settings.server.host
    if settings.server.auth == "open" and host != "localhost" and not is_loopback(host):
        raise SettingsError(
            f"host = {host} would let anybody on the network run code here, because auth = open accepts any "
            "credentials: use auth = iam, or a loopback address."
        )


def host_in_url(host: str) -> str:
    """Return a host as URLs have it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def bound(settings: Settings) -> Any:
    """Return a socket that listens where the settings say.

    Raises:
        SettingsError: that address cannot be had.
    """
    host, port = settings.server.host, settings.server.port
    try:
        return bind(host, port)
    except (OSError, OverflowError) as error:
        if isinstance(error, OverflowError):
            reason = "ports end at 65535"
        else:
            reason = os.strerror(error.errno) if error.errno else str(error)
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {reason}. Another port can be chosen with --port; 0 takes a free one."
        ) from error
