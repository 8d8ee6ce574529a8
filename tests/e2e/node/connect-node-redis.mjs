// Connections of node-redis for the scripts that check for themselves: any error ends the script.
import { createClient } from "redis";
import { fail, host, port } from "./everyday.mjs";

const made = [];
export const address = { socket: { host, port, reconnectStrategy: false } };

export async function connect(options = {}) {
  const client = createClient({ RESP: 3, ...address, ...options });
  client.on("error", fail);
  made.push(client);
  return client.connect();
}

export async function close() {
  for (const client of made) if (client.isOpen) await client.close();
}
