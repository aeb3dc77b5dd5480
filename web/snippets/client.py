"""Ask this page from another program: pip install gradio_client."""

from gradio_client import Client, handle_file

client = Client("http://127.0.0.1:7860", verbose=False)
answer = client.predict(handle_file("photo.jpg"), api_name="/classify")
print(answer["sentence"], answer["probabilities"])

pictures = [handle_file(name) for name in ("photo.jpg", "photo.jpg")]
for answer in client.predict(pictures, api_name="/classify_batch"):
    print(answer.get("sentence") or answer["error"])
