// One stop for the Tab key; arrows move on, a click or Enter asks for the cell's pictures.
const cells = () => [...element.querySelectorAll("button[data-true]")];
const go = (to) => {
  if (!to) return;
  cells().forEach((cell) => { cell.tabIndex = cell === to ? 0 : -1; });
  to.focus();
};
element.addEventListener("click", (event) => {
  const cell = event.target.closest("button[data-true]");
  if (!cell) return;
  cells().forEach((other) => other.setAttribute("aria-pressed", other === cell));
  go(cell);
  const narrow = window.matchMedia("(max-width: 700px)").matches;
  if (narrow) document.getElementById("confusion-cell")?.scrollIntoView({ block: "center" });
  trigger("cell", { true: Number(cell.dataset.true), predicted: Number(cell.dataset.predicted) });
});
element.addEventListener("keydown", (event) => {
  const cell = event.target.closest("button[data-true]");
  const columns = Number(element.querySelector("[data-columns]")?.dataset.columns);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (!cell || !step) return;
  event.preventDefault();
  const all = cells(), from = all.indexOf(cell);
  const leaves = Math.abs(step) === 1 && columns > 1
    && Math.floor(from / columns) !== Math.floor((from + step) / columns);
  if (!leaves) go(all[from + step]);
});
