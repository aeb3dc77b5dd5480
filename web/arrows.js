// Gradio's radio buttons have a name each, so the browser does not know that they belong together.
const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
document.addEventListener("keydown", (event) => {
  const from = event.target.closest("fieldset input[type=radio]"), step = steps[event.key];
  if (!from || !step) return;
  event.preventDefault();
  const all = [...from.closest("fieldset").querySelectorAll("input[type=radio]")];
  const to = all[(all.indexOf(from) + step + all.length) % all.length];
  to.focus();
  to.click();
});
