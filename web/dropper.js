// Many files at once: chosen or dropped, sent one after the other, then named to Python together.
const $ = (selector) => element.querySelector(selector);
const input = $("input[type=file]"), status = $("[role=status]");
const limit = Number($(".dropper").dataset.limit), most = Number($(".dropper").dataset.most);
const shown = () => element.offsetParent !== null;
let busy = false;

async function send(files) {
  if (busy || !files.length) return;
  busy = true;
  const sent = [], failed = [];
  for (const file of files.slice(0, most)) {
    status.textContent = "Sending " + (sent.length + failed.length + 1) + " of " + files.length + " …";
    try {
      if (file.size > limit) throw new Error();
      sent.push({ name: file.name, path: (await upload(file)).path });
    } catch (error) {
      failed.push(file.name);
    }
  }
  busy = false;
  const late = Math.max(0, files.length - most);
  status.textContent = [
    sent.length + (sent.length === 1 ? " file sent." : " files sent."),
    late ? "The last " + late + " were left out: " + most + " at once is the limit." : "",
    failed.length ? "Too large, or lost on the way: " + failed.slice(0, 5).join(", ") + "." : "",
  ].join(" ");
  trigger("picked", { files: sent });
}

input.addEventListener("change", () => { const files = [...input.files]; input.value = ""; send(files); });
$(".choose").addEventListener("click", () => input.click());
document.addEventListener("dragover", (event) => {
  if (!shown() || !event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!shown() || !event.dataTransfer.files.length) return;
  event.preventDefault();
  send([...event.dataTransfer.files]);
});
