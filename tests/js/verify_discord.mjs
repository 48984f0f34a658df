// Reads a Discord message with two npm packages: `@discordjs/builders`, which knows the limits of an
// embed, and `discord-markdown-parser`, which reads Markdown as Discord's clients do.
//
// usage: verify_discord.mjs [--batch]     (the protocol of tests/py/verifier.py)
//
// Input: the body as it is sent, or stored with `reply` and `loud`. No text may call anybody or be a
// link that is not one of ours; `allowed_mentions` must switch mentions off as well.

import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import path from "node:path";
import readline from "node:readline";

const folder = process.env.VERDICTD_TEST_NODE_DIR;
const require = createRequire(path.join(folder ?? ".", "package.json"));
const { EmbedBuilder, embedLength } = require("@discordjs/builders");
const { parse } = require("discord-markdown-parser");

const LABELS = new Set([
  "Open portfolio", "Open experiment", "This evaluation", "Decision log", "Acknowledge", "Snooze",
  "Rollback plan",
]);
const WORDS = new Set(["text", "br", "newline", "strong", "em", "emoticon", "twemoji"]);

function refuse(reason) {
  throw new Error(reason);
}

function walk(nodes) {
  for (const node of nodes) {
    if (node.type === "link") {
      const words = node.content.map((one) => one.content).join("");
      if (!LABELS.has(words) || !/^https?:\/\/\S+$/.test(node.target)) {
        refuse(`a link to ${node.target} that says ${words}`);
      }
    } else if (!WORDS.has(node.type)) {
      refuse(`${node.type}: ${JSON.stringify(node).slice(0, 120)}`);
    } else if (Array.isArray(node.content)) {
      walk(node.content);
    }
  }
}

function verifyEmbed(embed) {
  const built = new EmbedBuilder()
    .setTitle(embed.title)
    .setDescription(embed.description ?? null)
    .setColor(embed.color)
    .setFields(...embed.fields)
    .setFooter(embed.footer);
  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(built.toJSON())), embed)) {
    refuse("the builder makes another embed");
  }
  if (embedLength(embed) > 6000) refuse("more than 6,000 characters");
  walk(parse(embed.title, "extended"));
  walk(parse(embed.description ?? "", "extended"));
  for (const field of embed.fields) {
    if (field.name.trim() === "" || field.value.trim() === "") refuse("an empty field");
    walk(parse(field.name, "extended"));
    walk(parse(field.value, "extended"));
  }
}

function verify(message) {
  const known = new Set(["embeds", "allowed_mentions", "reply", "loud"]);
  const strange = Object.keys(message).filter((key) => !known.has(key));
  if (strange.length > 0) refuse(`unknown: ${strange}`);
  if (!isDeepStrictEqual(message.allowed_mentions, { parse: [] })) refuse("mentions are allowed");
  if (message.embeds.length !== 1) refuse("not one embed");
  verifyEmbed(message.embeds[0]);
  const reply = message.reply ?? "x";
  if (reply === "" || reply.length > 2000) refuse("reply is empty or too long");
  walk(parse(reply, "extended"));
}

function judge(line) {
  try {
    const document = JSON.parse(line);
    if (document === null || typeof document !== "object" || Array.isArray(document)) {
      refuse("the input is not a JSON object");
    }
    verify(document);
    return "ok";
  } catch (error) {
    return `${error.name}: ${error.message}`.replace(/\s+/g, " ");
  }
}

let refused = 0;
for await (const line of readline.createInterface({ input: process.stdin })) {
  const result = judge(line);
  refused += result === "ok" ? 0 : 1;
  console.log(result);
}
process.exitCode = refused === 0 ? 0 : 1;
