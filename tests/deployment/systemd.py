"""Starts the service as systemd does and listens to what it tells.

    python systemd.py target/debug/claude-grpc
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WATCHDOG_SECONDS = 1.0
DRAIN_SECONDS = 7


class Manager:
    """The one side of sd_notify."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def next(self):
        return self.socket.recv(4096).decode().split()

    def until(self, word):
        while True:
            told = self.next()
            if word in told:
                return told


def main(binary):
    with tempfile.TemporaryDirectory() as folder:
        manager = Manager(Path(folder) / "notify")
        credentials = Path(folder) / "credentials"
        credentials.mkdir()
        key = credentials / "api-key"
        key.write_text("sk-first\n")
        key.chmod(0o400)

        # systemd's socket, with somebody who connects before the service runs.
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        early = socket.create_connection(("127.0.0.1", port))
        early.settimeout(10)

        variables = {
            "NOTIFY_SOCKET": str(Path(folder) / "notify"),
            "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6)),
            "ANTHROPIC_API_KEY_FILE": str(key),
            "CLAUDE_GRPC_SERVER__DRAIN_TIMEOUT": f"{DRAIN_SECONDS}s",
            "CLAUDE_GRPC_LOG__FORMAT": "json",
            "LISTEN_FDS": "1",
        }
        # The number 3 is the protocol's; LISTEN_PID is known after the fork.
        started = time.monotonic()
        service = subprocess.Popen(
            ["sh", "-c", 'LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$0" serve', binary],
            env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            pass_fds=[3], preexec_fn=lambda: os.dup2(listening.fileno(), 3),
        )
        try:
            line = service.stdout.readline()
            assert line == f"claude-grpc listening on 127.0.0.1:{port}\n", line
            assert manager.next() == ["READY=1"]
            print(f"READY=1 after {time.monotonic() - started:.2f} s, on the socket that was handed over")

            early.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            assert early.recv(9)[3] == 4, "no SETTINGS"
            print("who connected before the start is served")

            began = time.monotonic()
            for _ in range(4):
                manager.until("WATCHDOG=1")
            apart = (time.monotonic() - began) / 3
            assert apart < WATCHDOG_SECONDS, apart
            print(f"WATCHDOG=1 every {apart:.2f} s of {WATCHDOG_SECONDS} s")

            # ExecReload.
            service.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            assert service.poll() is None, "SIGHUP ended it"

            service.send_signal(signal.SIGTERM)
            told = manager.until("STOPPING=1")
            extended = next(it for it in told if it.startswith("EXTEND_TIMEOUT_USEC="))
            assert int(extended.split("=")[1]) > DRAIN_SECONDS * 1e6, extended
            early.close()
            _, logged = service.communicate(timeout=30)
            assert service.returncode == 0, service.returncode
            assert re.search("SIGHUP: reloading", logged), logged
            assert "sk-first" not in logged
            print("STOPPING=1,", extended, "and exit code 0")
        finally:
            service.kill()

        # The port is still there: nobody is refused until the next start.
        socket.create_connection(("127.0.0.1", port)).close()


if __name__ == "__main__":
    main(*sys.argv[1:])
