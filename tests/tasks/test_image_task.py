"""The image task: what goes into a model, and what never does."""

import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from raygp.tasks import Task, make_task
from raygp.tasks.augment import flip, resized_crop, shift

AUGMENTS = ("shift", "shift-flip", "resized-crop")


def encoded(image, kind="JPEG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def picture(width=40, height=40, seed=0):
    """A smooth colour picture, so that JPEG keeps it nearly as it is."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def rgb_task(**fields):
    return make_task({"name": "resnet18", "image_size": 32, **fields})


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def uniform(task, count, seed=2):
    return torch.rand(count, task.draws, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["resnet18", "lenet-300-100", "lenet-5"])
def test_a_task_implements_the_protocol_and_pickles_small(name):
    task = make_task({"name": name, "image_size": 28})
    assert isinstance(task, Task)
    assert task.name == name
    content = pickle.dumps(task)
    assert len(content) < 2000
    assert pickle.loads(content) == task


@pytest.mark.parametrize("augment", AUGMENTS)
def test_augmentation_is_a_pure_function_of_its_draws(augment, images):
    task = rgb_task(augment=augment)
    draws, before = uniform(task, len(images)), images.clone()
    state = torch.get_rng_state()
    first = task.prepare(images, draws)
    assert torch.equal(first, task.prepare(images, draws))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, before)
    assert first.shape == images.shape and first.dtype == torch.float32
    assert not torch.equal(first, task.prepare(images, uniform(task, len(images), seed=3)))


@pytest.mark.parametrize("augment", AUGMENTS)
def test_a_batch_cut_in_two_gives_the_same_rows(augment, images):
    task = rgb_task(augment=augment)
    draws = uniform(task, len(images))
    halves = [task.prepare(images[part], draws[part]) for part in (slice(0, 2), slice(2, 6))]
    assert torch.equal(task.prepare(images, draws), torch.cat(halves))


@pytest.mark.parametrize("augment", ["none", *AUGMENTS])
def test_without_draws_the_input_is_only_normalised(augment, images):
    task = rgb_task(augment=augment, mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    expected = images.numpy().astype(np.float64) / 255
    expected = (expected - np.array([0.5, 0.25, 0.0])[:, None, None]) / np.array([0.5, 1.0, 2.0])[:, None, None]
    np.testing.assert_allclose(task.prepare(images, None).numpy(), expected, atol=1e-6)
    assert task.prepare(images[:0], None).shape == (0, 3, 32, 32)


def test_draws_of_another_shape_are_refused(images):
    with pytest.raises(ValueError, match=r"draws have shape \(6, 2\) instead of \(6, 3\)"):
        rgb_task(augment="shift-flip").prepare(images, torch.rand(6, 2))


def test_shift_by_hand():
    image = torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8)
    batch = image.expand(4, 1, 2, 2)
    # Padding 1 gives three places each way: below 1/3 the first, below 2/3 the middle, else the last.
    draws = torch.tensor([[0.5, 0.5], [0.0, 0.5], [0.5, 0.99999997], [0.9, 0.1]])
    rows = shift(batch, draws, 1)[:, 0].tolist()
    assert rows == [
        [[1, 2], [3, 4]],
        [[0, 0], [1, 2]],
        [[2, 0], [4, 0]],
        [[0, 3], [0, 0]],
    ]


def test_the_largest_draw_below_one_stays_inside_the_padding():
    almost = torch.full((1, 2), float(np.nextafter(np.float32(1), np.float32(0))))
    for padding in range(1, 20):
        image = torch.ones(1, 1, 20, 20)
        assert shift(image, almost, padding).sum() == (20 - padding) ** 2


def test_flip_mirrors_the_images_drawn_below_a_half():
    images = torch.arange(6).reshape(2, 1, 1, 3)
    assert flip(images, torch.tensor([0.49, 0.5])).tolist() == [[[[2, 1, 0]]], [[[3, 4, 5]]]]


def test_a_resized_crop_of_the_whole_image_is_the_image_or_its_mirror():
    images = torch.rand(2, 3, 16, 16)
    square = 0.5  # middle of the aspect's range, on the log scale: 1
    draws = torch.tensor([[1.0, square, 0.3, 0.7, 0.9], [1.0, square, 0.3, 0.7, 0.1]])
    crops = resized_crop(images, draws)
    torch.testing.assert_close(crops[0], images[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(crops[1], images[1].flip(-1), atol=1e-5, rtol=0)


def test_a_resized_crop_is_taken_from_the_place_drawn():
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    # Smallest area, aspect 1: the side is sqrt(0.35) of the image's.
    left, right = (resized_crop(ramp, torch.tensor([[0.0, 0.5, 0.5, x, 0.9]])) for x in (0.0, 1.0))
    side = 0.35**0.5
    assert left.min() < 0.01 and left.max() == pytest.approx(side, abs=0.02)
    assert right.max() > 0.99 and right.min() == pytest.approx(1 - side, abs=0.02)


@pytest.mark.parametrize(
    "sample",
    [
        encoded(picture()),
        encoded(picture(), "PNG"),
        encoded(picture(), "BMP"),
        encoded(picture(), "WEBP", lossless=True),
        encoded(picture().convert("RGBA"), "PNG"),
        encoded(picture().quantize(256), "PNG"),
    ],
    ids=["jpeg", "png", "bmp", "webp", "png with alpha", "png with palette"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_file_decodes_to_the_same_picture(sample, channels):
    task = rgb_task(image_size=40, channels=channels)
    task.check(sample, "cat")
    pixels = task.decode(sample)
    assert pixels.dtype == np.uint8 and pixels.shape == (channels, 40, 40)
    expected = np.asarray(picture().convert("L" if channels == 1 else "RGB"), dtype=float)
    difference = np.abs(pixels - (expected[None] if channels == 1 else expected.transpose(2, 0, 1)))
    assert difference.mean() < 7  # the palette alone is off by 5.6; another picture by 60


def test_a_grey_jpeg_becomes_rgb_with_equal_channels():
    pixels = rgb_task(image_size=40).decode(encoded(picture().convert("L")))
    assert pixels.shape == (3, 40, 40)
    assert (pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all()
    assert pixels.std() > 10


def test_a_png_of_16_bits_is_scaled_not_cut_off():
    grey = np.linspace(0, 65535, 40 * 40).astype(np.uint16).reshape(40, 40)
    pixels = rgb_task(image_size=40, channels=1).decode(encoded(Image.fromarray(grey), "PNG"))
    assert (pixels[0] == grey >> 8).all()


def test_another_size_is_scaled_and_cut_to_the_centre():
    wide = Image.new("RGB", (120, 60), (255, 0, 0))
    wide.paste((0, 0, 255), (30, 0, 90, 60))
    pixels = rgb_task(image_size=32).decode(encoded(wide, "PNG"))
    assert (pixels == np.array([0, 0, 255])[:, None, None]).all()
    same = picture(32, 32)
    assert (rgb_task().decode(encoded(same, "PNG")) == np.asarray(same).transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    "sample, reason",
    [
        (b"", "empty file"),
        (b"hello world", "not an image in a known format"),
        (encoded(picture())[:-2], "damaged image: "),
        (encoded(picture(200, 200))[:-300], "damaged image: image file is truncated"),
        (encoded(picture(), "PNG")[:300], "damaged image: "),
        (encoded(picture(1, 40), "PNG"), "image of 1 x 40 pixels: at least 2 x 2 are needed"),
    ],
    ids=["empty", "text", "jpeg without its end", "jpeg cut short", "png cut short", "one pixel wide"],
)
def test_check_refuses_what_is_damaged_or_senseless(sample, reason):
    with pytest.raises(ValueError) as caught:
        rgb_task().check(sample, "cat")
    assert str(caught.value).startswith(reason) and "\n" not in str(caught.value)


@pytest.mark.parametrize("sample", [b"", b"hello world", b"\xff\xd8\xff\xe0 no more", b"\x89PNG\r\n\x1a\n junk", b"BM"])
def test_decode_gives_the_reason_in_one_line(sample):
    with pytest.raises(ValueError) as caught:
        rgb_task().decode(sample)
    assert str(caught.value) and "\n" not in str(caught.value)


def test_decoding_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rgb_task().decode(encoded(picture()))


def test_losses_and_metric_are_by_example():
    task = rgb_task()
    outputs, targets = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    assert task.score(outputs, targets).tolist() == [[[1.0, 1.0]], [[0.0, 1.0]]]
    torch.testing.assert_close(task.losses(outputs, targets), torch.tensor([0.126928, 2.126928]))
