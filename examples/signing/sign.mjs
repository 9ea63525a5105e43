// Signs a call to claude-grpc. Requires only Node's standard library.
//
//   CLAUDE_GRPC_SIGNING_SECRET=cgs_… node sign.mjs PATH KEY_ID < message
//   node sign.mjs --check ../../tests/vectors/signature.json
//
// With @grpc/grpc-js: serialize the request yourself, sign the bytes, and send
// those bytes with client.makeUnaryRequest(path, (bytes) => bytes, …).

import { createHash, createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

/** The value of the metadata x-signature. message: the protobuf bytes. */
export function signature(
  secret,
  keyId,
  path,
  message,
  at = Math.floor(Date.now() / 1000),
  nonce = randomBytes(16).toString("hex"),
) {
  const digest = createHash("sha256").update(message).digest("hex");
  const text = ["v1", path, keyId, at, nonce, digest].join("\n");
  const mac = createHmac("sha256", secret).update(text).digest("hex");
  return `t=${at},n=${nonce},k=${keyId},v1=${mac}`;
}

function check(file) {
  for (const it of JSON.parse(readFileSync(file, "utf8"))) {
    const message = Buffer.from(it.message_hex, "hex");
    const got = signature(it.secret, it.key_id, it.path, message, it.time, it.nonce);
    if (got !== it.header) {
      console.error(`${it.name}: got ${got}, expected ${it.header}`);
      process.exit(1);
    }
  }
  console.log("all vectors hold");
}

const [first, second] = process.argv.slice(2);
if (first === "--check" && second) {
  check(second);
} else if (second) {
  const secret = process.env.CLAUDE_GRPC_SIGNING_SECRET;
  console.log(signature(secret, second, first, readFileSync(0)));
} else {
  console.error("usage: node sign.mjs PATH KEY_ID < message | --check VECTORS");
  process.exit(2);
}
