// What is common to all that take files: parts of the component, messages, sending, and dragging.
const $ = (selector) => element.querySelector(selector);
const root = $(".picker"), input = $("input[type=file]"), status = $("[role=status]");
const limit = Number(root.dataset.limit);
const shown = () => element.offsetParent !== null;
const say = (text) => { status.textContent = text; };

// One file after the other, as `made` makes it; gives those that arrived, and a sentence about the others.
async function sendEach(files, made = (file) => file) {
  const sent = [], failed = [];
  for (const file of files) {
    say("Sending " + (sent.length + failed.length + 1) + " of " + files.length + " …");
    try {
      const less = await made(file);
      if (less.size > limit) throw new Error();
      sent.push({ name: file.name, path: (await upload(less)).path });
    } catch (error) {
      failed.push(file.name);
    }
  }
  return [sent, failed.length ? "Too large, or lost on the way: " + failed.slice(0, 5).join(", ") + "." : ""];
}
document.addEventListener("dragover", (event) => {
  if (!shown() || !event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
for (const end of ["dragend", "drop", "dragleave"]) {
  document.addEventListener(end, (event) => {
    if (end !== "dragleave" || !event.relatedTarget) document.body.classList.remove("dropping");
  });
}
