"""The model card's parts on the classifier: doubt, large photos, maps, speed."""

from typing import Any

from .markdown import escape, table


def sections(results: dict[str, Any]) -> list[str]:
    """The parts that results.json holds numbers for, each with its heading.

    Args:
        results: Content of results.json; "calibration" comes from training, the other parts from
            the benchmarks out_of_scope, small_objects, explanations and latency.
    """
    writers = {
        "calibration": ("How sure it is", _calibration),
        "scope": ("Pictures of something else", _scope),
        "small_objects": ("Large photos", _small_objects),
        "explanations": ("Maps of the evidence", _explanations),
        "latency": ("How fast it answers", _latency),
    }
    return [
        f"## {title}\n\n{write(results)}"
        for key, (title, write) in writers.items()
        if results.get(key)
    ]


def _calibration(results: dict[str, Any]) -> str:
    found = results["calibration"]
    sure = found["confident"]
    rows = []
    for split in ("validation", "test"):
        reports = results[split]
        if not reports or "calibrated" not in reports:
            continue
        for state, view in (("as the network comes", "plain"), ("calibrated", "calibrated")):
            one = reports[view]
            rows.append(
                [f"{split}, {state}", f"{one['accuracy']:.2%}", f"{one['ece']:.2%}",
                 f"{one['nll']:.4f}"]
            )  # fmt: skip
    right = "" if sure["accuracy"] is None else f"; {sure['accuracy']:.1%} of those are right"
    head = ["images", "accuracy", "calibration error (ECE)", "negative log-likelihood"]
    return (
        f"The classifier takes the mean of an image and its mirror image and divides the logits by "
        f"a temperature of {found['temperature']:.3f}. It was chosen on the {found['images']:,} "
        "validation images so that the probability stated there is on average the accuracy reached "
        "([Clarté et al. 2023](https://arxiv.org/abs/2303.02644)).\n\n"
        f"{table(head, rows)}\n\n"
        f"From a probability of {sure['threshold']:.1%} on an answer counts as *confident*, below "
        f"it as *unsure*. Of the test images {sure['share']:.1%} get a confident answer{right}. "
        "This way of choosing the temperature was preferred after others had been tried on "
        "CIFAR-10's test images, which flatters the calibration error there a little."
    )


def _scope(results: dict[str, Any]) -> str:
    found = results["scope"]
    sent = found["as_sent"]
    kinds = [
        [
            escape(kind),
            f"{one['auroc']:.3f}",
            f"{one['accepted']:.1%}",
            *(f"{sent['kinds'][kind][key]:.1%}" for key in ("accepted", "confident")),
        ]
        for kind, one in found["kinds"].items()
    ]
    means = (found["mean_accepted"], sent["mean"]["accepted"], sent["mean"]["confident"])
    kinds.append(["**mean**", f"{found['mean_auroc']:.3f}", *(f"{one:.1%}" for one in means)])
    methods = [
        [escape(name), f"{one['mean_auroc']:.3f}", f"{one['mean_accepted']:.1%}"]
        for name, one in found["methods"].items()
    ]
    count = found["images"]
    head = ["kind", "AUROC", "wrongly accepted", "as sent", "as sent, and sure"]
    return (
        f"A score from *{escape(found['method'])}* tells pictures of none of the classes. Its "
        f"threshold keeps {found['kept']['validation']:.1%} of the validation images and "
        f"{found['kept']['test']:.1%} of the test images. Against {count['inside']:,} test images "
        f"and {count['each kind']:,} pictures of each kind, scaled to the network's size; the last "
        "two columns tell of the same pictures as they are, most of them larger, where a part may "
        f"answer:\n\n{table(head, kinds)}\n\n"
        f"{table(['score', 'mean AUROC', 'mean wrongly accepted'], methods)}\n\n"
        "The score was chosen by these very pictures, which flatters it."
    )


def _small_objects(results: dict[str, Any]) -> str:
    found = results["small_objects"]
    keys = ("right", "named and right", "named and wrong", "sure and wrong")
    rows = [
        [escape(case), *(f"{both['whole'][key]:.1%} → {both['closer'][key]:.1%}" for key in keys)]
        for case, both in found["cases"].items()
    ]
    return (
        "Where the largest centred square leaves doubt, the classifier looks at parts of a large "
        f"picture too. Tried with {found['images']} test images, enlarged to the stated size and "
        f"pasted at a random place of {found['canvas']} x {found['canvas']} pixels; answers by the "
        "square alone → with a closer look. *Named* is all that is not called none of the classes; "
        "a part's answer is never called sure, and its probability is not calibrated.\n\n"
        f"{table(['picture', *keys], rows)}"
    )


def _explanations(results: dict[str, Any]) -> str:
    found = results["explanations"]
    rows = [
        [escape(name), f"{one['deletion']:.3f}", f"{one['insertion']:.3f}"]
        for name, one in found["methods"].items()
    ]
    return (
        f"Maps are made by *{escape(found['method'])}*. Mean probability of the predicted class of "
        f"{found['images']} test images while blocks of 4 x 4 pixels that a map calls important "
        "are covered with grey first (deletion: lower is better) or uncovered first (insertion: "
        "higher is better; after [Petsiuk et al. 2018](https://arxiv.org/abs/1806.07421)). Grey is "
        "also what integrated gradients and occlusion start from, which favours them.\n\n"
        f"{table(['map', 'deletion', 'insertion'], rows)}"
    )


def _latency(results: dict[str, Any]) -> str:
    found = results["latency"]
    rows = [
        [escape(case), f"{one['median']:,.1f}", f"{one['p90']:,.1f}"]
        for case, one in found["cases"].items()
    ]
    here = found["machine"]
    return (
        f"On {here['cores']} processor cores ({escape(here['cpu'])}, {found['threads']} threads), "
        f"device {here['device']}, over {found['rounds']} rounds of all these in turn "
        "(asked the same again and again, it answers faster):\n\n"
        f"{table(['asked for', 'ms, median', 'ms, 90 % below'], rows)}"
    )
