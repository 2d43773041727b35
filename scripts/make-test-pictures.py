"""Small pictures for tests, one for each form that people send.

    python scripts/make-test-pictures.py

writes test/media/fixtures/pictures/. JPEG encoders differ between versions, so the files are made once and kept. Made with
Pillow 12.3.0 and numpy 2.4.6.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parent.parent / "test" / "media" / "fixtures" / "pictures"
LIMIT_BYTES = 40_000
ORIENTATION = 0x0112


def slopes(width, height, seed):
    """Waves in three colours with a little noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    channels = []
    for _ in range(3):
        a, b, phase = random.uniform(-5, 5), random.uniform(-5, 5), random.uniform(0, 6)
        channels.append(127.5 + 100 * np.sin(a * x / width + b * y / height + phase) + random.normal(0, 6, x.shape))
    return Image.fromarray(np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8))


def shapes(width, height, seed, noise=True):
    """A picture with hard edges: a disc, a box and lines on waves."""
    random = np.random.default_rng(seed + 1000)
    image = slopes(width, height, seed) if noise else Image.new("RGB", (width, height), (200, 220, 240))
    draw = ImageDraw.Draw(image)
    side = min(width, height)
    colour = lambda: tuple(int(value) for value in random.integers(0, 256, 3))  # noqa: E731
    x, y = width * random.uniform(0.1, 0.5), height * random.uniform(0.1, 0.5)
    draw.ellipse([x, y, x + side * 0.4, y + side * 0.4], fill=colour())
    x, y = width * random.uniform(0.3, 0.6), height * random.uniform(0.3, 0.6)
    draw.rectangle([x, y, x + side * 0.3, y + side * 0.3], fill=colour(), outline=(0, 0, 0))
    for step in range(5):
        draw.line([0, height * step / 5, width, height * (step + 2) / 6], fill=colour(), width=max(1, side // 60))
    return image


def with_alpha(image, seed):
    """Opaque on the left, clear on the right, between them every step."""
    width, height = image.size
    alpha = np.tile(np.linspace(270, -15, width).clip(0, 255).astype(np.uint8), (height, 1))
    alpha[: height // 4] = np.random.default_rng(seed).integers(0, 256, (height // 4, width))
    image = image.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


def frame(index):
    """A square that wanders over a floor whose colour changes."""
    image = Image.new("RGB", (96, 64), (20 * index, 200 - 15 * index, 90))
    draw = ImageDraw.Draw(image)
    draw.rectangle([8 * index, 4 + 5 * index, 8 * index + 20, 18 + 5 * index], fill=(250, 240, 30 * index))
    draw.line([0, 63, 95, 6 * index], fill=(255, 255, 255))
    return image


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    palette = shapes(50, 50, 11, noise=False).quantize(16, dither=Image.Dither.NONE)
    rotated = Image.Exif()
    rotated[ORIENTATION] = 6
    clear = palette.copy()
    clear.info["transparency"] = 0
    pictures = {
        "scene.jpg": (shapes(700, 500, 1), dict(quality=60, subsampling="4:2:0")),
        "photo.jpg": (shapes(123, 77, 2), dict(quality=75, subsampling="4:2:0")),
        "progressive.jpg": (shapes(90, 130, 3), dict(quality=80, progressive=True, subsampling="4:4:4")),
        "grey.jpg": (shapes(66, 70, 4).convert("L"), dict(quality=80)),
        # Shown a quarter turn to the right by programs that heed it.
        "rotated.jpg": (shapes(96, 64, 5), dict(quality=80, exif=rotated)),
        "square.png": (shapes(64, 64, 6), {}),
        "tall.png": (shapes(37, 91, 7), {}),
        "wide.png": (shapes(300, 20, 8), {}),
        "alpha.png": (with_alpha(shapes(60, 80, 9), 9), {}),
        "grey.png": (shapes(40, 56, 10).convert("L"), {}),
        "grey-alpha.png": (with_alpha(shapes(48, 40, 12).convert("L"), 12), {}),
        "palette.png": (palette, {}),
        "palette-alpha.png": (clear, dict(transparency=0)),
        "one-bit.png": (shapes(70, 45, 13).convert("1"), {}),
        "dot.png": (Image.new("RGB", (1, 1), (200, 30, 60)), {}),
        "small.png": (shapes(16, 16, 14), {}),
        **{f"frame-{index}.png": (frame(index), {}) for index in range(9)},
    }
    for name, (image, options) in pictures.items():
        path = FOLDER / name
        image.save(path, optimize=True, **options)
        size = path.stat().st_size
        print(f"{name} {image.size[0]} x {image.size[1]} {Image.open(path).mode} {size} bytes")
        if size > LIMIT_BYTES:
            raise SystemExit(f"{path} has {size} bytes (limit {LIMIT_BYTES})")


main()
