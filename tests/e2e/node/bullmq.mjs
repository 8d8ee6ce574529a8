// A BullMQ queue: a thousand jobs, every tenth fails the first time and is tried again. Prints one JSON object.
import { Queue, QueueEvents, Worker } from "bullmq";

const [host, port] = process.argv.slice(2);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const n = 1000;
const queue = new Queue("work", { connection });
const events = new QueueEvents("work", { connection });
await events.waitUntilReady();

let attempts = 0;
let done = 0;
const worker = new Worker("work", async (job) => {
  attempts++;
  if (job.data.n % 10 === 0 && job.attemptsMade === 0) throw new Error("the first time");
  return job.data.n * 2;
}, { connection, concurrency: 20 });
const finished = new Promise((resolve) => events.on("completed", () => ++done === n && resolve()));
await queue.addBulk(Array.from({ length: n }, (_, i) => (
  { name: "job", data: { n: i }, opts: { attempts: 3, backoff: 10 } })));
await finished;
console.log(JSON.stringify({ attempts, done, counts: await queue.getJobCounts("completed", "failed", "waiting", "active") }));
await worker.close();
await events.close();
await queue.close();
