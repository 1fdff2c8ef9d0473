// A shop whose jobs are done by BullMQ: `queue.mjs PORT QUEUE work NAME`, `… add JOB=ORDER …`,
// `… obliterate`. BULLMQ is the
// folder in which the library is installed.

import { createRequire } from 'node:module';

const { Queue, Worker, UnrecoverableError } = createRequire(`${process.env.BULLMQ}/`)('bullmq');
const [port, queue, what, ...rest] = process.argv.slice(2);
const connection = { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null };

const die = () => process.kill(process.pid, 'SIGKILL');
const jobs = {
  fine: async () => ({ paid: true }),
  refused: async () => {
    throw new UnrecoverableError('the card was refused');
  },
  slow: async (job) => {
    if (job.attemptsMade < 2) throw new Error('the bank is slow');
  },
  hopeless: async () => {
    throw new Error('the bank is gone');
  },
  // Takes its worker with it, once or each time.
  saved: async (job) => {
    if (job.stalledCounter === 0) die();
  },
  deadly: async () => die(),
};
const options = { slow: { attempts: 3, backoff: 100 }, hopeless: { attempts: 2 }, gone: { removeOnComplete: true } };

if (what === 'work') {
  const settings = { connection, name: rest[0], lockDuration: 1500, stalledInterval: 500, maxStalledCount: 1 };
  const worker = new Worker(queue, (job) => (jobs[job.name] ?? jobs.fine)(job), settings);
  worker.on('error', (error) => console.error(error.message));
  await worker.waitUntilReady();
  console.log('ready');
} else {
  const shop = new Queue(queue, { connection });
  if (what === 'obliterate') await shop.obliterate({ force: true });
  if (what === 'obliterate') console.log('obliterated', queue);
  for (const [name, order] of what === 'add' ? rest.map((one) => one.split('=')) : []) {
    const job = await shop.add(name, { order }, options[name]);
    console.log(name, job.id);
  }
  await shop.close();
}
