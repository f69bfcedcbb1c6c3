// Reads results as one of a group; several share them. See ../contract.md.
//   npm install ioredis @msgpack/msgpack
//   node results.mjs redis://localhost:6379/0 signage till-1
import Redis from "ioredis";
import { decode } from "@msgpack/msgpack";

const [url = "redis://localhost:6379/0", group = "signage", consumer = "till-1"] = process.argv.slice(2);
const stream = "fs:{0}:results";
const broker = new Redis(url);
const seen = new Set(); // of a reader that runs for long, forget the oldest

await broker.xgroup("CREATE", stream, group, "$", "MKSTREAM").catch((error) => {
  if (!error.message.startsWith("BUSYGROUP")) throw error; // else it is there already
});

function use(result) {
  const labels = result.faces.map((face) => face.attributes.gender?.label); // apparent: not who somebody is
  console.log(result.camera, result.seq, labels.join(" "));
}

// From "0" comes what is in our name since we were here last, from ">" what nobody has had.
for (let from = "0"; ; ) {
  const reading = ["GROUP", group, consumer, "COUNT", 100, "BLOCK", 2000, "STREAMS", stream, from];
  const entries = (await broker.xreadgroupBuffer(...reading))?.[0][1] ?? [];
  for (const [id, fields] of entries) {
    const at = fields?.findIndex((name) => name.equals(Buffer.from("r"))) ?? -1; // no fields: it was trimmed
    const result = at < 0 ? null : decode(fields[at + 1]);
    const frame = result && `${result.camera}/${result.epoch}/${result.seq}`;
    if (result?.v === 1 && !seen.has(frame)) use(result);
    seen.add(frame);
    await broker.xack(stream, group, id);
  }
  from = from === ">" || entries.length === 0 ? ">" : entries.at(-1)[0];
}
