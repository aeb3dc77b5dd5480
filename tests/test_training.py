"""The loop on tiny data: it learns, repeats itself bit for bit, and resumes where it stopped."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
import timm
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from hub_layout import layout, loaded
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import model  # noqa: F401  (registers the networks)
from benchmarks.gpu import start_again
from model.build import build_trainer
from model.checkpoint import load_checkpoint, save_checkpoint
from model.data import Loader
from model.recipe import Recipe
from model.training import StepReport, Trainer
from model.utils.errors import TrainingError

NANO = "cifarnet_nano"
RECIPE = Recipe(
    network=NANO,
    epochs=4,
    batch_size=16,
    gradient_accumulation_steps=1,
    val_size=0,
    learning_rate=0.12,
    momentum=0.7,
    warmup=0.05,
    stem_bias_epochs=2,
    cutout=4,
    resolution=((0.5, 0.5), (1.0, 1.0)),
    ema_decay=0.5,
    mixed_precision="no",
)


class Stripes(Loader):
    """Pictures of horizontal and vertical stripes: two classes, 64 pictures, 4 steps."""

    steps = 4

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(7)
        images = torch.randint(0, 60, (64, 3, 32, 32), generator=generator, dtype=torch.uint8)
        self.labels = torch.arange(64) % 2
        images[self.labels == 0, :, ::4] += 150
        images[self.labels == 1, :, :, ::4] += 150
        self.images = images

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        order = torch.randperm(64, generator=torch.Generator().manual_seed(epoch))
        for rows in order.to(self.images.device).split(16):
            yield self.images[rows], self.labels[rows], rows


def trainer(
    recipe: Recipe = RECIPE,
    outliers: Tensor | None = None,
    compiled: bool = False,
    kind: type[Trainer] = Trainer,
) -> Trainer:
    torch.manual_seed(recipe.seed)
    network: Any = timm.create_model(recipe.network, num_classes=2)
    AcceleratorState._reset_state(reset_partial_state=True)  # allows another precision
    accelerator = Accelerator(cpu=True, mixed_precision=recipe.mixed_precision)
    return kind(
        network,
        recipe,
        Stripes(),
        mean=(0.3,) * 3,
        std=(0.3,) * 3,
        accelerator=accelerator,
        outliers=outliers,
        compiled=compiled,
    )


def finished(run: Trainer) -> dict[str, Tensor]:
    while run.epochs_done < run.recipe.epochs:
        run.train_epoch()
    return {k: v.clone() for k, v in run.ema_or_model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_last_report_of_an_epoch_has_its_mean_loss() -> None:
    reports = list[StepReport]()
    first = trainer().train_epoch(reports.append)
    assert first.images == 64
    assert reports[-1].step == reports[-1].steps == 4
    assert reports[-1].loss == pytest.approx(first.loss)
    assert 0 < first.loss < 5


@pytest.mark.parametrize(
    ("stop_after", "momentum", "network"),
    [(1, 0.0, NANO), (2, 0.85, NANO), (3, 0.85, NANO), (2, 0.85, "test_resnet")],  # AdamW's
)
def test_resuming_gives_the_same_weights(
    stop_after: int, momentum: float, network: str, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(RECIPE, sgd_momentum=momentum, network=network)
    whole, run = trainer(recipe), trainer(recipe)
    for one in (whole, run):  # as of a saved model that a run began with
        one._normalize_by((0.2,) * 3, (0.4,) * 3)
    expected = finished(whole)
    for _ in range(stop_after):
        run.train_epoch()
    save_checkpoint(tmp_path, *run.state())
    resumed = trainer(recipe)
    torch.manual_seed(999)  # nothing may depend on the global state
    resumed.load_state(*load_checkpoint(tmp_path))
    assert resumed.epochs_done == stop_after
    assert same(expected, finished(resumed))


def test_a_trainer_that_starts_again_does_what_a_new_one_does(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=2)
    data, accelerator = loaded(str(layout(tmp_path / "data")), recipe), Accelerator(cpu=True)
    used = build_trainer(recipe, data, accelerator)
    first = finished(used)
    start_again(used, dataclasses.replace(recipe, seed=1), data, accelerator)
    second = finished(used)
    assert not same(first, second)
    start_again(used, recipe, data, accelerator)
    assert same(first, finished(used))


def test_the_first_layer_is_frozen_in_time() -> None:
    run = trainer()
    bias = run.network.stem.conv.bias
    filters = run.network.stem.conv.weight.clone()
    start = bias.detach().clone()
    run.train_epoch()
    run.train_epoch()
    after_two = bias.detach().clone()
    finished(run)
    assert not torch.equal(start, after_two)
    assert torch.equal(after_two, bias)
    assert torch.equal(filters, run.network.stem.conv.weight)


def some(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """A batch of random pictures: bytes, labels, rows."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return images, torch.arange(count) % 2, torch.arange(count)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_do_with_their_parts_what_one_does(processes: int) -> None:
    """The same pictures, mirrored and shifted in the same way, meet the network."""
    seen: dict[int, list[Tensor]] = {}
    for world in (1, processes):
        seen[world] = []
        for rank in range(world):
            run = trainer(dataclasses.replace(RECIPE, gradient_accumulation_steps=4))
            run.accelerator.state.process_index = rank  # the same attribute in a real run
            run.accelerator.state.num_processes = world
            run.network.stem.register_forward_hook(
                lambda _m, inputs, _o, world=world: seen[world].append(inputs[0].clone())
            )
            images, labels, rows = (part.tensor_split(world)[rank] for part in some(16))
            run._step(images, labels, rows, 3)
    AcceleratorState._reset_state(reset_partial_state=True)  # for the tests that follow
    assert len(seen[1]) == len(seen[processes]) == 4
    for one, other in zip(seen[1], seen[processes], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("count", [16, 10, 3])
def test_accumulation_gives_the_gradient_of_the_whole_batch(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where parts are uneven, or more than there are images; one step for each batch."""
    gradients: list[list[Tensor]] = []
    losses = []
    plain = dataclasses.replace(RECIPE, translate=0, cutout=0)  # chance differs from part to part
    for accumulation in (1, 4):
        run = trainer(dataclasses.replace(plain, gradient_accumulation_steps=accumulation))
        run.network.eval()  # norms are kept from seeing the parts
        params = [p for p in run.network.parameters() if p.requires_grad]
        moves: list[list[Tensor]] = []
        grads = lambda params=params: [p.grad.clone() for p in params]  # noqa: E731
        monkeypatch.setattr(
            run, "_optimizer_step", lambda moves=moves, grads=grads: moves.append(grads())
        )
        losses.append(run._step(*some(count), 0).item())
        assert len(moves) == 1
        gradients.append(moves[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for x, y in zip(*gradients, strict=True):
        assert torch.allclose(x, y, rtol=1e-3, atol=1e-6)


def test_both_optimizers_step_before_the_scale_changes() -> None:
    run = trainer()
    run.accelerator.scaler = scaler = Mock(scale=lambda loss: loss)
    run._step(*some(4), 0)
    assert [name for name, _, _ in scaler.mock_calls] == ["step", "step", "update"]
    stepped = [type(call.args[0]).__name__ for call in scaler.step.call_args_list]
    assert stepped == ["Muon", "SGD"]


def test_weight_average_is_the_mean_it_claims() -> None:
    run = trainer(dataclasses.replace(RECIPE, ema_decay=0.5))
    network: Any = run.network
    weights = [network.head.fc.weight.detach().clone()]
    expected = weights[0]
    step = run._step

    def recorded(*batch: Any) -> Tensor:
        loss = step(*batch)
        weights.append(network.head.fc.weight.detach().clone())
        return loss

    run._step = recorded  # type: ignore[assignment, method-assign]
    run.train_epoch()
    for seen in weights[1:]:
        expected = 0.5 * expected + 0.5 * seen
    assert torch.allclose(run.ema_or_model.head.fc.weight, expected, atol=1e-6)
    assert trainer(dataclasses.replace(RECIPE, ema_decay=0.0)).ema is None


def test_early_epochs_are_small() -> None:
    run, sizes = trainer(), list[int]()
    run.network.stem.register_forward_hook(lambda _m, i, _o: sizes.append(i[0].shape[-1]))
    finished(run)
    assert sizes == [16] * 8 + [32] * 8


def test_another_networks_checkpoint_and_an_epoch_that_ends_early_are_errors() -> None:
    run = trainer()
    other = trainer(dataclasses.replace(RECIPE, network="cifarnet_small"))
    with pytest.raises(TrainingError, match="does not fit"):
        other.load_state(*run.state())
    run.batches.steps = 5
    with pytest.raises(TrainingError, match="4 steps instead of 5"):
        run.train_epoch()


def dark_stripes(seed: int) -> Tensor:
    """Stripes like those of one class, but dark on bright: none of the two classes, uint8."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (64, 3, 32, 32), generator=generator, dtype=torch.uint8)
    images[:, :, ::4] += 150
    return 255 - images


def test_outliers_make_strange_pictures_less_certain() -> None:
    """Strange pictures that it has not seen; without outliers it takes them for the class."""
    strange, known = dark_stripes(1), Stripes()
    share = {}
    for outliers in (None, dark_stripes(2)):
        run = trainer(dataclasses.replace(RECIPE, epochs=6, label_smoothing=0.0), outliers)
        finished(run)
        network = run.ema_or_model.eval()
        with torch.no_grad():
            answers = [network((x / 255 - 0.3) / 0.3) for x in (strange, known.images)]
        assert (answers[1].argmax(1) == known.labels).float().mean() > 0.95
        # How far the two logits lie apart: of strange pictures, as a share of the known ones'.
        apart = [answer.diff(dim=1).abs().mean() for answer in answers]
        share[outliers is not None] = float(apart[0] / apart[1])
    assert share[True] < share[False] / 2


def test_jigsaws_of_the_images_are_outliers_beside_others() -> None:
    run = trainer(dataclasses.replace(RECIPE, jigsaw=0.5), dark_stripes(1))
    images, labels, _ = next(iter(Stripes().epoch(0)))
    shown, targets, weights = run._with_outliers(images, labels)
    n, others, pieces = len(images), round(len(images) / 4), round(len(images) / 2)
    assert len(shown) == len(targets) == len(weights) == n + others + pieces
    assert torch.equal(shown[:n], images)
    assert (targets[n:] == 0.5).all()
    assert (weights[n:] == 2).all()
    whole, shuffled = images[:pieces].flatten(2), shown[n + others :].flatten(2)
    assert torch.equal(shuffled.sort().values, whole.sort().values)
    assert not torch.equal(shuffled, whole)


DISTORTED: Any = dict(warp=0.5, recolour=0.5, resample=0.5, noise=0.5, jpeg=0.5, jigsaw=0.25)


def test_distortions_are_repeated_bit_for_bit_and_change_the_result() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1, **DISTORTED)
    first = finished(trainer(recipe, dark_stripes(1)))
    assert same(first, finished(trainer(recipe, dark_stripes(1))))
    assert not same(first, finished(trainer(dataclasses.replace(RECIPE, epochs=1))))
    assert not same(first, finished(trainer(dataclasses.replace(recipe, seed=1), dark_stripes(1))))


def test_no_step_waits_for_the_device() -> None:
    """Reading a number of the device is `_local_scalar_dense`; only reports may do that."""

    class Watch(TorchDispatchMode):
        seen: ClassVar[list[str]] = []

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            self.seen.append(str(func))
            return func(*args, **(kwargs or {}))

    run = trainer(dataclasses.replace(RECIPE, **DISTORTED), dark_stripes(1))
    batch = next(iter(Stripes().epoch(0)))
    run._step(*batch, 0)  # what is made once is made
    with Watch() as watch:
        run._step(*batch, 1)
    assert len(watch.seen) > 100
    assert not [name for name in watch.seen if "_local_scalar_dense" in name]


@pytest.mark.slow
def test_a_compiled_step_learns_the_same() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1, resolution=((1.0, 1.0),))
    plain, compiled = trainer(recipe), trainer(recipe, compiled=True)
    assert compiled.train_epoch().loss == pytest.approx(plain.train_epoch().loss, rel=1e-3)
