// Choosing a picture: a file, a drop, the clipboard or the camera. Python gets what is uploaded.
const $ = (selector) => element.querySelector(selector);
const root = $(".picker"), input = $("input[type=file]"), status = $("[role=status]");
const camera = $(".camera"), video = $("video"), limit = Number(root.dataset.limit);
const shown = () => element.offsetParent !== null;
const say = (text) => { status.textContent = text; };

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
  if (shown() && file) { event.preventDefault(); send(file); }
});
$(".paste").addEventListener("click", async () => {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((one) => one.startsWith("image/"));
      if (type) { send(new File([await item.getType(type)], "pasted", { type })); return; }
    }
    say("There is no picture to paste. Copy one first.");
  } catch (error) {
    say("Press Ctrl+V (on a Mac, ⌘V) to paste a picture.");
  }
});

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
document.addEventListener("drop", (event) => {
  if (!shown() || !event.dataTransfer.files.length) return;
  event.preventDefault();
  send(event.dataTransfer.files[0]);
});

let stream = null, devices = [], device = 0;
function closeCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  camera.hidden = true;
}
async function openCamera(wanted) {
  closeCamera();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
    devices = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
    const used = stream.getVideoTracks()[0].getSettings();
    device = Math.max(0, devices.findIndex((one) => one.deviceId === used.deviceId));
    $(".other").hidden = devices.length < 2;
    video.classList.toggle("mirrored", used.facingMode === "user");
    video.srcObject = stream;
    camera.hidden = false;
    say("");
    $(".take").focus();
  } catch (error) {
    const reasons = {
      NotAllowedError: "The browser may not use the camera. Allow it in the browser's settings.",
      NotFoundError: "No camera was found.",
      NotReadableError: "Another program uses the camera.",
    };
    say(reasons[error.name] ?? "The camera could not be started.");
  }
}
$(".open").addEventListener("click", () => {
  if (!navigator.mediaDevices) say("The camera needs an https address, or this computer's own.");
  else openCamera({ facingMode: { ideal: "environment" } });
});
$(".other").addEventListener("click", () => {
  openCamera({ deviceId: { exact: devices[(device + 1) % devices.length].deviceId } });
});
$(".close").addEventListener("click", () => { closeCamera(); $(".open").focus(); });
$(".take").addEventListener("click", () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => send(new File([blob], "camera.jpg", { type: blob.type })), "image/jpeg", 0.92);
  closeCamera();
  $(".open").focus();
});
