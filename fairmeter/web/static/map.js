// A click on a point of the map opens its link: a zoomed map, a transformer or a client.
"use strict";

const map = document.querySelector('[data-chart="map"]');
if (map) {
  window.Charts.draw(map).then(() => map.on("plotly_click", (event) => {
    const address = event.points.map((point) => point.customdata).findLast(Boolean);
    if (address) window.location.assign(address);
  }));
}
