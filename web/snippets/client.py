"""Ask this page from another program: pip install gradio_client."""

from gradio_client import Client, handle_file

client = Client("http://127.0.0.1:7860", verbose=False)
answer = client.predict(handle_file("examples/ship.png"), api_name="/classify")
print(answer)
