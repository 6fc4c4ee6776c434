"""Who turns names into addresses for sandboxes that reach the outside: the host's ``resolv.conf``, or the one
behind it.

A resolver on the host's loopback (systemd-resolved's stub, dnsmasq) is out of a sandbox's reach;
systemd-resolved writes down beside its stub whom it asks itself (systemd-resolved.service(8)). Used by the
launching process and by the server.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

_OF_HOST = Path("/etc/resolv.conf")
_BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")


def of(network: str) -> str:
    """Return the ``resolv.conf`` of a sandbox with this network (see `Order.network`).

    With ``nat`` it is empty if the host knows no resolver within reach.
    """
    match network:
        case "host":
            return _read(_OF_HOST)
        case "nat":
            return choose(_read(_OF_HOST), _read(_BEHIND_STUB))
        case _:
            return ""


def choose(*candidates: str) -> str:
    """Return the first text with a resolver that is not on a loopback, without those that are."""
    for text in candidates:
        kept = [line for line in text.splitlines() if not _names_loopback(line)]
        if any(line.split()[:1] == ["nameserver"] for line in kept):
            return "\n".join(kept) + "\n"
    return ""


def _names_loopback(line: str) -> bool:
    words = line.split()
    if len(words) < 2 or words[0] != "nameserver":
        return False
    try:
        address = ipaddress.ip_address(words[1].partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
