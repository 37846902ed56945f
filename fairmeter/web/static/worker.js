// Caches the page of visits on the phone: it is loaded from the desk; without an answer in a few seconds, the last
// version is shown and marked. Its files are cached under addresses that change with their content.
// Nothing else of the desk is cached, and requests that send data do not pass through here.
"use strict";

const CACHE = "fairmeter-field";
const PATIENCE = 4000; // milliseconds before the cached page is shown

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
  const old = await (await caches.open(CACHE)).match(request.url);
  const asked = fetch(request).then((answer) => remembered(request.url, answer));
  if (!old) return asked;
  const late = new Promise((done) => { setTimeout(done, PATIENCE); });
  const answer = await Promise.race([asked.catch(() => null), late]);
  return answer && answer.status < 500 ? answer : marked(old);
}

async function remembered(address, answer) {
  if (answer.ok && answer.type === "basic") await (await caches.open(CACHE)).put(address, answer.clone());
  return answer;
}

/* Mark the cached page by an attribute: a navigation has no other channel to the page. */
async function marked(old) {
  const text = await old.text();
  return new Response(text.replace("data-field ", "data-field data-kept "), { headers: old.headers });
}

async function file(request) {
  return (await caches.match(request.url)) || fetch(request);
}

self.addEventListener("message", (event) => {
  const { data } = event;
  event.waitUntil(data.refresh ? refreshed(data.refresh) : all(data));
});

/* Cache the page as it is now: after a visit was recorded, the former one shows it as still to be made. */
async function refreshed(address) {
  const answer = await fetch(address, { credentials: "same-origin" }).catch(() => null);
  if (answer) await remembered(address, answer);
}

/* Cache exactly the files that the page names, and remove those of former versions. */
async function all({ page: address, files }) {
  const cache = await caches.open(CACHE);
  const there = new Set((await cache.keys()).map((request) => request.url));
  if (!there.has(address)) await cache.add(address);
  await cache.addAll(files.filter((one) => !there.has(one)));
  const wanted = new Set(files);
  const old = (await cache.keys()).filter((request) => isFile(request) && !wanted.has(request.url));
  await Promise.all(old.map((request) => cache.delete(request)));
}
