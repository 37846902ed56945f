// Photos of a visit: reduced before they are sent, shown when they are chosen, and stored on the phone while there is
// no connection. The page of visits uses window.Photos; forms on other pages send their files themselves.
"use strict";

(() => {
  const said = JSON.parse(document.getElementById("texts").textContent);
  const [SIDE, QUALITY, MAX_PHOTOS] = [1600, 0.85, 6]; // pixels, quality, number: as the desk stores them

  async function smaller(file) {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height].map((n) => Math.max(1, Math.round(n * scale)));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
    return new File([blob], "photo.jpg", { type: "image/jpeg" });
  }

  function show(place, files) {
    const list = place.querySelector("[data-chosen]");
    for (const picture of list.querySelectorAll("img")) URL.revokeObjectURL(picture.src);
    list.replaceChildren(...files.map((file, i) => {
      const item = document.createElement("li");
      const picture = item.appendChild(document.createElement("img"));
      picture.src = URL.createObjectURL(file);
      picture.alt = said.photo.replace("{n}", i + 1);
      return item;
    }));
  }

  async function chosen(place) {
    const input = place.querySelector("input[type=file]");
    const state = place.querySelector("[data-photo-state]");
    place.setAttribute("aria-busy", "true");
    try {
      if (input.files.length > MAX_PHOTOS) throw new RangeError();
      const files = await Promise.all([...input.files].map(smaller));
      const transfer = new DataTransfer();
      for (const file of files) transfer.items.add(file);
      input.files = transfer.files;
      show(place, files);
      state.textContent = said.chosen.replace("{n}", files.length);
    } catch (error) {
      input.value = "";
      show(place, []);
      state.textContent = error instanceof RangeError ? said.too_many_photos : said.no_photo;
    } finally {
      place.removeAttribute("aria-busy");
    }
  }

  document.addEventListener("change", (event) => {
    const place = event.target.closest("[data-photos]");
    if (place) place.working = chosen(place);
  });

  /* On the phone: texts in IndexedDB, because localStorage is too small. */
  function database() {
    return new Promise((done, failed) => {
      const asked = indexedDB.open("fairmeter", 1);
      asked.onupgradeneeded = () => asked.result.createObjectStore("photos");
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => failed(asked.error);
    });
  }

  async function within(mode, act) {
    const opened = await database();
    try {
      return await new Promise((done, failed) => {
        const work = opened.transaction("photos", mode);
        const asked = act(work.objectStore("photos"));
        work.oncomplete = () => done(asked.result);
        work.onabort = work.onerror = () => failed(work.error);
      });
    } finally {
      opened.close();
    }
  }

  function base64(file) {
    return new Promise((done, failed) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
      reader.onerror = () => failed(reader.error);
      reader.readAsDataURL(file);
    });
  }

  window.Photos = {
    /* The photos of a form as texts, after their reduction. */
    async of(form) {
      const place = form.querySelector("[data-photos]");
      await place?.working;
      return place ? Promise.all([...place.querySelector("input[type=file]").files].map(base64)) : [];
    },
    save: (key, photos) => within("readwrite", (store) => store.put(photos, key)),
    load: async (key) => (await within("readonly", (store) => store.get(key))) || [],
    forget: (key) => within("readwrite", (store) => store.delete(key)),
  };
})();
