"""Forbids this process every connection and look-up that would leave the machine.

An audit hook sees also what goes past `socket.socket`, and cannot be taken out again. The error is
no `Exception`, so that code which survives a failing provider by design cannot hide it.
"""

import ipaddress
import socket
import sys
from typing import Any


class ReachedBeyondTheMachine(BaseException):
    """A test tried to reach another machine."""


def stays_here(host: object) -> bool:
    """Whether `host` is this machine, known without asking anybody."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def forbid(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: raise where `event` is about to reach beyond the machine."""
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        connection, address = arguments[:2]
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or address is None:
            return
        host = address[0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not stays_here(host):
        raise ReachedBeyondTheMachine(
            f"{event} to {host!r}: no test may reach beyond this machine; "
            "use tests.scripted_provider, or another server on loopback"
        )


sys.addaudithook(forbid)
