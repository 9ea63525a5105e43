// Calls with grpc-js: calls.mjs POLICY ADDRESS
import { readFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";

const METHOD = "/claude.v1.ClaudeService/ListModels";
const REFUSED_IN_A_ROW = 20;
const MOST_CHANNELS = 2000;

const [policy, address] = process.argv.slice(2);
const options = { "grpc.use_local_subchannel_pool": 1 };
if (policy !== "none") {
  options["grpc.service_config"] = readFileSync(policy, "utf8");
}

const channel = () => new grpc.Client(address, grpc.credentials.createInsecure(), options);
const bytes = (message) => message;

// Prints a call; returns whether it was refused.
function call(client, age) {
  const began = Date.now();
  return new Promise((resolve) => {
    const deadline = { deadline: began + 20_000 };
    client.makeUnaryRequest(METHOD, bytes, bytes, Buffer.alloc(0), deadline, (error) => {
      const details = error?.metadata?.get("grpc-status-details-bin") ?? [];
      const reason = details.some((it) => it.includes("DRAINING")) ? "DRAINING" : "-";
      console.log(age, grpc.status[error?.code ?? 0], reason, Date.now() - began);
      resolve(Boolean(error));
    });
  });
}

const old = channel();
let refused = 0;
for (let channels = 0; refused < REFUSED_IN_A_ROW && channels < MOST_CHANNELS; channels++) {
  await call(old, "old");
  const client = channel();
  const both = [await call(client, "new"), await call(client, "new")];
  refused = both.every(Boolean) ? refused + 1 : 0;
  client.close();
}
old.close();
