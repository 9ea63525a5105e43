"""What a client library makes of a server that drains.

    python drain.py BINARY POLICY COMMAND...

COMMAND runs a program that makes calls with one library (python, go, typescript and
java next to this file), with the address of the service as its last argument. It
prints "old" or "new" for each call, after the age of the channel, the code of the
status, the reason in its details or "-", and the milliseconds that it took. It stops
once 20 new channels in a row were refused.

The service begins its drain while the program calls, and a call that hangs keeps the
drain going. Until then each call must succeed, and from then on each must get the
status that says that the server drains, over old channels as over new ones: UNAVAILABLE
makes clients try elsewhere, and nothing else does.

With a file as POLICY, that is the service config of the channels. Libraries that check
the health of the service then refuse calls themselves, without details, so that only
the code and the time are checked.
"""

import collections
import os
import subprocess
import sys
import threading
import time

# A retry policy repeats what it may; no call waits out its deadline of 20 s.
LONGEST_MS = 15_000
CALLS_BEFORE_THE_DRAIN = 10


def serve(binary):
    environment = os.environ | {
        "CLAUDE_GRPC_SERVER__LISTEN": "127.0.0.1:0",
        "CLAUDE_GRPC_ADMIN__ENABLED": "false",
        "CLAUDE_GRPC_SERVER__DRAIN_TIMEOUT": "10m",
        # Listing models is answered at once, and a generated answer never.
        "CLAUDE_GRPC_SIMULATOR__TIME_TO_FIRST_TOKEN": "10m",
    }
    command = [binary, "serve", "--simulate"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    service = subprocess.Popen(command, env=environment, **pipes)
    log = []
    threading.Thread(target=lambda: log.extend(service.stderr), daemon=True).start()
    return service, service.stdout.readline().split()[-1], log


def outcomes(program, service):
    """The lines of the program; the drain begins after some of them."""
    lines = []
    for line in program.stdout:
        age, code, reason, took = line.split()
        lines.append((age, code, reason, int(took)))
        if len(lines) == CALLS_BEFORE_THE_DRAIN:
            service.terminate()
    return lines


def faults(lines, with_policy):
    refused = [line for line in lines if line[1] != "OK"]
    counts = collections.Counter((age, code, reason) for age, code, reason, _ in lines)
    for (age, code, reason), count in sorted(counts.items()):
        print(f"  {count:4} {age} {code} {reason}")
    print(f"  longest: {max(took for *_, took in lines)} ms")
    if len(refused) < 20 or len(lines) - len(refused) < CALLS_BEFORE_THE_DRAIN:
        yield f"{len(refused)} of {len(lines)} calls were refused"
    for line in refused:
        _, code, reason, took = line
        if code != "UNAVAILABLE" or not (with_policy or reason == "DRAINING"):
            yield f"a status of another: {line}"
        if took > LONGEST_MS:
            yield f"too late: {line}"


def main(binary, policy, *command):
    service, address, log = serve(binary)
    hanging = subprocess.Popen(
        [binary, "generate", "--addr", address, "--timeout", "10m", "hello"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # The call that hangs must have arrived before the drain begins.
        time.sleep(1)
        program = subprocess.Popen([*command, policy, address], stdout=subprocess.PIPE, text=True)
        lines = outcomes(program, service)
        found = list(faults(lines, policy != "none"))
        if program.wait() != 0:
            found.append(f"the program ended with {program.returncode}")
    finally:
        for process in [hanging, service]:
            process.kill()
            process.wait()
    if found:
        print("".join(log), file=sys.stderr)
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
