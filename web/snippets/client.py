"""Ask this page from another program: pip install gradio_client."""

from gradio_client import Client, handle_file

client = Client("http://127.0.0.1:7860", verbose=False)
answer = client.predict(handle_file("examples/ship.png"), api_name="/classify")
print(answer["sentence"], answer["probabilities"])

pictures = [handle_file(f"examples/{name}.png") for name in ("airplane", "ship")]
for answer in client.predict(pictures, api_name="/classify_batch"):
    print(answer.get("sentence") or answer["error"])
