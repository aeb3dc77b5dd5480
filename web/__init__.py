"""The web page around the classifier: `python app.py`."""
