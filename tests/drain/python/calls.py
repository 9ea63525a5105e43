"""Calls with grpcio, or with its asyncio interface: calls.py sync|aio POLICY ADDRESS"""

import asyncio
import pathlib
import sys
import time

import grpc

METHOD = "/claude.v1.ClaudeService/ListModels"
REFUSED_IN_A_ROW = 20
MOST_CHANNELS = 2000

kind, policy, address = sys.argv[1:]
options = [("grpc.use_local_subchannel_pool", 1)]
if policy != "none":
    options.append(("grpc.service_config", pathlib.Path(policy).read_text()))


def outcome(age, began, error):
    """Prints a call; returns whether it was refused."""
    code, reason = "OK", "-"
    if error is not None:
        code = error.code().name
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        reason = "DRAINING" if b"DRAINING" in details else "-"
    print(age, code, reason, int((time.monotonic() - began) * 1000), flush=True)
    return error is not None


def sync():
    def call(channel, age):
        began, error = time.monotonic(), None
        try:
            channel.unary_unary(METHOD)(b"", timeout=20)
        except grpc.RpcError as failed:
            error = failed
        return outcome(age, began, error)

    old = grpc.insecure_channel(address, options)
    refused = 0
    for _ in range(MOST_CHANNELS):
        call(old, "old")
        with grpc.insecure_channel(address, options) as new:
            both = [call(new, "new"), call(new, "new")]
        refused = refused + 1 if all(both) else 0
        if refused == REFUSED_IN_A_ROW:
            return


async def aio():
    async def call(channel, age):
        began, error = time.monotonic(), None
        try:
            await channel.unary_unary(METHOD)(b"", timeout=20)
        except grpc.aio.AioRpcError as failed:
            error = failed
        return outcome(age, began, error)

    old = grpc.aio.insecure_channel(address, options)
    refused = 0
    for _ in range(MOST_CHANNELS):
        await call(old, "old")
        async with grpc.aio.insecure_channel(address, options) as new:
            both = [await call(new, "new"), await call(new, "new")]
        refused = refused + 1 if all(both) else 0
        if refused == REFUSED_IN_A_ROW:
            return


if kind == "aio":
    asyncio.run(aio())
else:
    sync()
