# Ask this page from a shell: upload, ask, fetch the answer.
url=http://127.0.0.1:7860/gradio_api
path=$(curl -sf "$url/upload" -F "files=@photo.jpg" | cut -d'"' -f2)
event=$(curl -sf "$url/call/classify" -H 'Content-Type: application/json' -d '{"data": [
  {"path": "'"$path"'", "meta": {"_type": "gradio.FileData"}}]}' | cut -d'"' -f4)
curl -sfN "$url/call/classify/$event"
