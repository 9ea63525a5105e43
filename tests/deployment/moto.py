"""AWS KMS for one overlay: `moto`'s server, and a ciphertext that it decrypts.

MOTO names a Python that has `moto[server]` and `boto3`.
"""

import contextlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path

PYTHON = os.environ.get("MOTO")

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

ENCRYPT = """
import base64, json, sys, boto3
asked = json.load(sys.stdin)
kms = boto3.client("kms", endpoint_url=asked["url"], region_name=asked["region"])
key = kms.create_key()["KeyMetadata"]["Arn"]
made = kms.encrypt(KeyId=key, Plaintext=b"sk-for-the-check-alone", EncryptionContext=asked["context"])
print(json.dumps({"key": key, "ciphertext": base64.b64encode(made["CiphertextBlob"]).decode()}))
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(variables, context):
    """Writes the ciphertext to where the variables say, and yields those that
    lead to this KMS. The key is another one: `moto` names its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert server.poll() is None and time.monotonic() < end, "moto does not start"
            time.sleep(0.1)
        region = variables["CLAUDE_GRPC_SECRETS__KMS__REGION"]
        made = json.loads(subprocess.run(
            [PYTHON, "-c", ENCRYPT], env={**os.environ, **CREDENTIALS}, check=True,
            input=json.dumps({"url": url, "region": region, "context": context}),
            capture_output=True, text=True,
        ).stdout)
        file = Path(variables["CLAUDE_GRPC_SECRETS__KMS__CIPHERTEXT_FILE"])
        file.write_text(made["ciphertext"])
        yield {
            **CREDENTIALS,
            "CLAUDE_GRPC_SECRETS__KMS__KEY_ID": made["key"],
            "CLAUDE_GRPC_SECRETS__KMS__ENDPOINT_URL": url,
        }
    finally:
        server.kill()
        server.wait()
