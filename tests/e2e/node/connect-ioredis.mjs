// Connections of ioredis for the scripts that check for themselves: any error ends the script.
import Redis from "ioredis";
import { fail, host, port } from "./everyday.mjs";

const made = [];

export async function connect(options = {}) {
  const redis = new Redis({ host, port, lazyConnect: true, retryStrategy: null, ...options });
  redis.on("error", fail);
  made.push(redis);
  await redis.connect();
  return redis;
}

export async function close() {
  for (const redis of made) if (redis.status === "ready") await redis.quit();
}
