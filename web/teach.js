// A visitor's lesson: its key, and everything that is done to its classes.
const stored = "cifarnet-lesson", SHRUNK = 2 ** 20, EDGE = 1024;
let memory = {};
try { memory = window.sessionStorage; } catch (error) { /* a browser that keeps nothing */ }
// Kept for as long as the tab is open: loading the page again loses nothing.
window.lessonKey = memory[stored] ??= [...crypto.getRandomValues(new Uint8Array(16))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("");
const open = () => trigger("opened", { key: window.lessonKey });
new IntersectionObserver((entries, watcher) => {
  if (entries.some((entry) => entry.isIntersecting)) { watcher.disconnect(); open(); }
}).observe(element);
setInterval(() => { if (shown()) open(); }, 600_000); // whoever is here is not forgotten

let to = null, sending = 0;
const ofClass = (place) => {
  const card = place?.closest?.("#lesson [data-class]");
  return card ? Number(card.dataset.class) : null;
};
const nameOf = (number) => document.getElementById("class-" + number)?.value ?? "";

// Photographs are made smaller before they leave the device, where the browser can read them.
async function small(file) {
  if (file.size < SHRUNK || !file.type.startsWith("image/")) return file;
  try {
    const image = await createImageBitmap(file);
    return await scaled(image, image.width, image.height, EDGE);
  } catch (error) {
    return file;
  }
}
async function send(files, number) {
  if (!files.length) return;
  sending += 1;
  const [sent, lost] = await sendEach(files, small);
  sending -= 1;
  if (!sending) say(lost);
  if (sent.length) trigger("given", { to: number, files: sent });
}
function choose(number, kind) {
  to = number;
  input.accept = kind;
  input.click();
}
input.addEventListener("change", () => { const files = [...input.files]; input.value = ""; send(files, to); });

document.addEventListener("click", async (event) => {
  const button = event.target.closest("#lesson button");
  if (!button) return;
  const number = ofClass(button);
  if (button.dataset.picture) trigger("removed", { of: number, picture: Number(button.dataset.picture) });
  const acts = {
    new: () => trigger("added"),
    zip: () => choose(null, ".zip"),
    forget: () => {
      if (window.confirm("Delete all classes, pictures and the model?")) trigger("forget");
    },
    drop: () => trigger("dropped", { of: number }),
    files: () => choose(number, "image/*,.heic,.heif,.zip"),
    paste: async () => { const file = await pasted(); if (file) send([file], number); },
    camera: async () => {
      [to, opener] = [number, button];
      $(".for").textContent = "Pictures of " + nameOf(number);
      await openCamera();
      root.scrollIntoView({ block: "nearest" });
    },
  };
  acts[button.dataset.act]?.();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("#lesson .head input")) {
    trigger("named", { of: ofClass(event.target), name: event.target.value });
  }
});
// One stop for the Tab key in the pictures of a class; arrows move on.
document.addEventListener("keydown", (event) => {
  const from = event.target.closest?.("#lesson [data-picture]");
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  if (!from || !step) return;
  event.preventDefault();
  const all = [...from.closest("ul").querySelectorAll("button")];
  const next = all[all.indexOf(from) + step];
  if (!next) return;
  [from.tabIndex, next.tabIndex] = [-1, 0];
  next.focus();
});
$(".take").addEventListener("click", async () => send([await frame(EDGE)], to));
$(".burst").addEventListener("click", async () => {
  const taken = [];
  for (let i = 0; i < 10 && stream; i += 1) {
    say("Picture " + (i + 1) + " of 10 …");
    taken.push(await frame(EDGE));
    await new Promise((done) => { setTimeout(done, 250); });
  }
  send(taken, to);
});

const outside = (event) => !shown() || event.target.closest?.("#try");
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])].filter((one) => one.type.startsWith("image/"));
  if (outside(event) || !files.length) return;
  event.preventDefault();
  send(files, ofClass(event.target) ?? ofClass(document.querySelector("#lesson [data-class] input")));
});
document.addEventListener("drop", (event) => {
  if (outside(event) || !event.dataTransfer.files.length) return;
  event.preventDefault();
  send([...event.dataTransfer.files], ofClass(event.target));
});
