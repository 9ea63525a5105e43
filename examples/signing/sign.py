"""Signs a call to claude-grpc. Requires only Python's standard library.

    CLAUDE_GRPC_SIGNING_SECRET=cgs_… python3 sign.py PATH KEY_ID < message
    python3 sign.py --check ../../tests/vectors/signature.json

With grpcio: serialize the request yourself, sign the bytes, and send those bytes:

    data = request.SerializeToString()
    path = "/claude.v1.ClaudeService/Generate"
    call = channel.unary_unary(path, request_serializer=lambda data: data,
                               response_deserializer=GenerateResponse.FromString)
    call(data, metadata=[("x-signature", signature(secret, key_id, path, data))])
"""

import hashlib
import hmac
import json
import os
import secrets
import sys
import time


def signature(secret, key_id, path, message, at=None, nonce=None):
    """Returns the value of the metadata x-signature. message: the protobuf bytes."""
    at = int(time.time()) if at is None else at
    nonce = nonce or secrets.token_hex(16)
    digest = hashlib.sha256(message).hexdigest()
    text = "\n".join(["v1", path, key_id, str(at), nonce, digest])
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"t={at},n={nonce},k={key_id},v1={mac}"


def check(file):
    with open(file) as vectors:
        for it in json.load(vectors):
            message = bytes.fromhex(it["message_hex"])
            got = signature(it["secret"], it["key_id"], it["path"], message, it["time"], it["nonce"])
            if got != it["header"]:
                sys.exit(f"{it['name']}: got {got}, expected {it['header']}")
    print("all vectors hold")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--check":
        check(sys.argv[2])
    else:
        secret = os.environ["CLAUDE_GRPC_SIGNING_SECRET"]
        print(signature(secret, sys.argv[2], sys.argv[1], sys.stdin.buffer.read()))
