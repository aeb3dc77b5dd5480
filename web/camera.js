// The camera and the clipboard, after files.js.
const camera = $(".camera"), video = $("video");
let stream = null, devices = [], device = 0, opener = null;
function closeCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  camera.hidden = true;
}
async function openCamera(wanted = { facingMode: { ideal: "environment" } }) {
  if (!navigator.mediaDevices) {
    say("The camera needs an https address, or this computer's own.");
    return;
  }
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
// A picture as a file, at most so many pixels high or wide.
function scaled(image, width, height, most = Infinity) {
  const canvas = document.createElement("canvas"), by = Math.min(1, most / Math.max(width, height));
  canvas.width = Math.round(width * by);
  canvas.height = Math.round(height * by);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => {
    canvas.toBlob((blob) => done(new File([blob], "camera.jpg", { type: blob.type })), "image/jpeg", 0.92);
  });
}
const frame = (most) => scaled(video, video.videoWidth, video.videoHeight, most);
$(".other").addEventListener("click", () => {
  openCamera({ deviceId: { exact: devices[(device + 1) % devices.length].deviceId } });
});
$(".close").addEventListener("click", () => { closeCamera(); opener?.focus(); });

async function pasted() {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((one) => one.startsWith("image/"));
      if (type) return new File([await item.getType(type)], "pasted", { type });
    }
    say("There is no picture to paste. Copy one first.");
  } catch (error) {
    say("Press Ctrl+V (on a Mac, ⌘V) to paste a picture.");
  }
  return null;
}
