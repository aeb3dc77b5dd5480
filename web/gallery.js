// A click in the gallery chooses an example.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-key]");
  if (button) trigger("chosen", { key: button.dataset.key });
});
