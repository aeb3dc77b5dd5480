// Many files at once: chosen or dropped, sent one after the other, then named to Python together.
const most = Number(root.dataset.most);
let busy = false;

async function send(files) {
  if (busy || !files.length) return;
  busy = true;
  const [sent, lost] = await sendEach(files.slice(0, most));
  busy = false;
  const late = Math.max(0, files.length - most);
  say([
    sent.length + (sent.length === 1 ? " file sent." : " files sent."),
    late ? "The last " + late + " were left out: " + most + " at once is the limit." : "",
    lost,
  ].join(" "));
  trigger("picked", { files: sent });
}

input.addEventListener("change", () => { const files = [...input.files]; input.value = ""; send(files); });
$(".choose").addEventListener("click", () => input.click());
document.addEventListener("drop", (event) => {
  if (!shown() || !event.dataTransfer.files.length) return;
  event.preventDefault();
  send([...event.dataTransfer.files]);
});
