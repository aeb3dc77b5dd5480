// Choosing a picture: a file, a drop, the clipboard or the camera. Python gets what is uploaded.
const mine = (event) => shown() && (!root.dataset.zone || event.target.closest?.(root.dataset.zone));

async function send(file) {
  if (!file) return;
  if (file.size > limit) {
    say("That file is larger than " + Math.round(limit / 2 ** 20) + " MB. Choose a smaller one.");
    return;
  }
  say("Looking …");
  try {
    const sent = await upload(file);
    trigger("picked", { path: sent.path });
    say("");
  } catch (error) {
    say("The picture did not arrive: the page is busy, or the connection broke. Try again in a moment.");
  }
}

input.addEventListener("change", () => { send(input.files[0]); input.value = ""; });
$(".choose").addEventListener("click", () => input.click());

document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (mine(event) && file) { event.preventDefault(); send(file); }
});
$(".paste").addEventListener("click", async () => send(await pasted()));
document.addEventListener("drop", (event) => {
  if (!mine(event) || !event.dataTransfer.files.length) return;
  event.preventDefault();
  send(event.dataTransfer.files[0]);
});

// Where a model of the visitor's own answers, it says all the time what the camera shows.
async function live() {
  while (stream && shown()) {
    const place = document.querySelector(root.dataset.live + " .answer");
    try {
      if (!video.videoWidth) throw new Error();
      const body = await frame(256);
      const answer = await fetch("lesson/" + window.lessonKey + "/answer", { method: "POST", body });
      const said = await answer.json();
      if (stream && said.html) place.outerHTML = said.html;
    } catch (error) {
      await new Promise((done) => { setTimeout(done, 300); });
    }
  }
  closeCamera();
}
$(".open").addEventListener("click", async () => {
  opener = $(".open");
  await openCamera();
  if (stream && root.dataset.live) live();
});
$(".take").addEventListener("click", async () => {
  const file = await frame();
  closeCamera();
  send(file);
  opener.focus();
});
