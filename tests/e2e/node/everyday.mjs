// What both clients' scripts share: running named steps, and printing one JSON object that maps
// each step to its result.
// Usage of a script: node x.mjs HOST PORT

export const host = process.argv[2];
export const port = Number(process.argv[3]);

const results = {};

// Buffers, Maps, Sets and undefined as something that JSON can say.
function plain(value) {
  if (Buffer.isBuffer(value)) return { base64: value.toString("base64") };
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (value instanceof Set) return [...value].map(plain).sort();
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Error) return { error: value.message };
  if (typeof value === "bigint") return Number(value);
  if (value === undefined) return null;
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  }
  return value;
}

export async function step(name, action) {
  try {
    results[name] = plain(await action());
  } catch (error) {
    results[name] = { error: error.message };
  }
}

export function finish() {
  process.stdout.write(JSON.stringify(results) + "\n");
}

export function fail(error) {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}
