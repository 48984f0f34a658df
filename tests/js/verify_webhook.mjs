// Verifies a received webhook with the npm package `standardwebhooks` and Node's own ed25519.
//
// usage: node verify_webhook.mjs      (one JSON object per line; one result line each: `ok` or why)
//
// Input: {"secret": "whsec_...", "public_key": "whpk_...", "headers": {...}, "body_base64": "..."}
// The package knows `v1` only, and accepts whatever else stands beside it; `v1a` is verified with
// `node:crypto` over `id.timestamp.body`. A key that is given must have signed. The exit code is 0
// only if every line was `ok`.

import crypto from "node:crypto";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const folder = process.env.VERDICTD_TEST_NODE_DIR;
const require = createRequire(path.join(folder, "package.json"));
const { Webhook } = require("standardwebhooks");

// What stands before the 32 bytes of an ed25519 key in its DER form (RFC 8410).
const DER_HEAD = Buffer.from("302a300506032b6570032100", "hex");

function verifyAsymmetric(publicKey, headers, body) {
  const raw = Buffer.from(publicKey.replace(/^whpk_/, ""), "base64");
  const key = crypto.createPublicKey({
    key: Buffer.concat([DER_HEAD, raw]),
    format: "der",
    type: "spki",
  });
  const stamp = headers["webhook-timestamp"];
  if (Math.abs(Date.now() / 1000 - Number(stamp)) > 300) throw new Error("not of now");
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${stamp}.`), body]);
  const entries = headers["webhook-signature"].split(" ").map((entry) => entry.split(","));
  const good = entries.some(
    ([version, value]) =>
      version === "v1a" && crypto.verify(null, signed, key, Buffer.from(value, "base64")),
  );
  if (!good) throw new Error("no entry v1a of this key");
}

function judge(line) {
  try {
    const { secret, public_key: publicKey, headers, body_base64: encoded } = JSON.parse(line);
    if (!secret && !publicKey) throw new Error("no key to verify with");
    const body = Buffer.from(encoded, "base64");
    if (secret) new Webhook(secret).verify(body.toString("utf8"), headers);
    if (publicKey) verifyAsymmetric(publicKey, headers, body);
    return "ok";
  } catch (error) {
    return `${error.name}: ${error.message}`.replaceAll(/\s+/g, " ");
  }
}

let refused = 0;
for await (const line of readline.createInterface({ input: process.stdin })) {
  const result = judge(line);
  refused += result !== "ok";
  console.log(result);
}
process.exitCode = refused ? 1 : 0;
