"""The tests' own guard: nothing leaves the machine, not from here and not from a subprocess."""

import socket
import subprocess
import sys

import pytest
from no_network import ReachedBeyondTheMachine

ELSEWHERE = "192.0.2.1"  # reserved for documentation (RFC 5737): nobody lives there


def test_a_connection_elsewhere_is_refused() -> None:
    with socket.socket() as connection, pytest.raises(ReachedBeyondTheMachine, match=ELSEWHERE):
        connection.connect((ELSEWHERE, 80))


def test_a_name_is_not_looked_up() -> None:
    with pytest.raises(ReachedBeyondTheMachine, match=r"example\.invalid"):
        socket.getaddrinfo("example.invalid", 443)


def test_a_datagram_elsewhere_is_refused() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        pytest.raises(ReachedBeyondTheMachine),
    ):
        datagrams.sendto(b"hello", (ELSEWHERE, 53))


def test_a_subprocess_is_refused_too() -> None:
    code = f"import socket; socket.create_connection(({ELSEWHERE!r}, 80), timeout=1)"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "ReachedBeyondTheMachine" in ran.stderr


def test_loopback_is_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connection,
    ):
        assert connection.getpeername() == server.getsockname()
