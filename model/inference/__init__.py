"""From a picture to an answer: the classifier, its crops, calibration, limits and explanations.

`classifier.Classifier` takes a picture in any form, `logits.predict_logits` a split of a dataset.
"""
