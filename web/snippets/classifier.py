"""Name what a picture shows."""

from model import Classifier

classify = Classifier.from_pretrained()  # or a run's folder, or an id on the hub
prediction = classify("photo.jpg")
print(prediction.sentence, prediction.verdict)  # "confident", "unsure", or "none" of the classes
for name, probability in prediction.top(3):
    print(f"{name:12} {probability:6.1%}")
