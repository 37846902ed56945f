// The board of cases: a card that is dragged to another column makes that move, where it is one of the allowed moves.
// Without scripts, and for those that take more than a reason, the case's own page has the same moves.
"use strict";

const ALLOWED = { new: ["assigned"], assigned: ["inspecting", "new"], inspecting: ["assigned"], closed: [] };
const form = document.querySelector("[data-move]");
let dragged = null;

for (const card of document.querySelectorAll("[data-case][draggable]")) {
  card.addEventListener("dragstart", (event) => {
    dragged = card;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", card.dataset.case);
  });
  card.addEventListener("dragend", () => { dragged = null; });
}
for (const column of document.querySelectorAll("[data-column]")) {
  const takes = () => dragged && ALLOWED[dragged.dataset.state].includes(column.dataset.column);
  column.addEventListener("dragover", (event) => { if (takes()) { event.preventDefault(); column.classList.add("over"); } });
  column.addEventListener("dragleave", () => column.classList.remove("over"));
  column.addEventListener("drop", (event) => {
    column.classList.remove("over");
    if (!takes()) return;
    event.preventDefault();
    form.action = form.dataset.move.replace("/0/", `/${dragged.dataset.case}/`);
    form.elements.to.value = column.dataset.column;
    form.elements.version.value = dragged.dataset.version;
    form.submit();
  });
}
