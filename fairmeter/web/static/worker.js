// Keeps the page of visits on the phone: it is asked of the desk, and where the desk is not reached in a few seconds,
// shown as it was seen last, marked as such. Its files are kept under addresses that change with what is in them.
// Nothing else of the desk is kept, and nothing that is sent passes through here.
"use strict";

const KEPT = "fairmeter-field";
const PATIENCE = 4000; // milliseconds that the desk may take before the page comes from here

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const isPage = (request) => request.mode === "navigate";
const isFile = (request) => new URL(request.url).pathname.includes("/desk/static/");

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  if (isPage(request)) event.respondWith(page(request));
  else if (isFile(request)) event.respondWith(file(request));
});

async function page(request) {
  const old = await (await caches.open(KEPT)).match(request.url);
  const asked = fetch(request).then((answer) => remembered(request.url, answer));
  if (!old) return asked;
  const late = new Promise((done) => { setTimeout(done, PATIENCE); });
  const answer = await Promise.race([asked.catch(() => null), late]);
  return answer && answer.status < 500 ? answer : marked(old);
}

async function remembered(address, answer) {
  if (answer.ok && answer.type === "basic") await (await caches.open(KEPT)).put(address, answer.clone());
  return answer;
}

/* The page says by an attribute that it was kept: a navigation has no other way to tell it. */
async function marked(old) {
  const text = await old.text();
  return new Response(text.replace("data-field ", "data-field data-kept "), { headers: old.headers });
}

async function file(request) {
  return (await caches.match(request.url)) || fetch(request);
}

self.addEventListener("message", (event) => event.waitUntil(all(event.data)));

/* What the page says that it consists of: exactly this is kept of files, those of a former version go. */
async function all({ page: address, files }) {
  const cache = await caches.open(KEPT);
  const there = new Set((await cache.keys()).map((request) => request.url));
  if (!there.has(address)) await cache.add(address);
  await cache.addAll(files.filter((one) => !there.has(one)));
  const wanted = new Set(files);
  const old = (await cache.keys()).filter((request) => isFile(request) && !wanted.has(request.url));
  await Promise.all(old.map((request) => cache.delete(request)));
}
