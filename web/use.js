// The address that a visitor's browser uses is the one that works for that visitor.
const here = window.location.origin + window.location.pathname.replace(/\/$/, "");
for (const place of element.querySelectorAll(".address")) place.textContent = here;
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const code = button.closest("section").querySelector("pre"), status = button.nextElementSibling;
  try {
    await navigator.clipboard.writeText(code.textContent);
    status.textContent = "Copied.";
  } catch (error) {
    window.getSelection().selectAllChildren(code);
    status.textContent = "Marked; press Ctrl+C (on a Mac, ⌘C).";
  }
  setTimeout(() => { status.textContent = ""; }, 4000);
});
