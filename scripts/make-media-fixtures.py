"""What transformers and Pillow make of pictures: sizes of `smart_resize`, bicubic resizes, decoded pixels.

    python scripts/make-media-fixtures.py

writes test/media/fixtures/smart-resize.json, bicubic.json and decoding/. Pictures that are only resized are noise of the
generator below, which test/media/noise.ts has too, and are kept as hashes. JPEG and WebP encoders differ between versions, so
the files of decoding/ are made once and kept.
"""

import ast
import base64
import hashlib
import json
import math
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageOps

FIXTURES = Path(__file__).resolve().parent.parent / "test" / "media" / "fixtures"
DECODING = FIXTURES / "decoding"
COMMAND = "python scripts/make-media-fixtures.py"
PILLOW = PIL.__version__
LIMIT_BYTES = 40_000
ORIENTATION = 0x0112


def write_json(path, value):
    path.write_text(json.dumps(value, separators=(",", ":")).replace('",', '",\n').replace("],", "],\n") + "\n")


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).hexdigest()


# --- sizes ---

BOUNDS = [[4096, 1_843_200], [4096, 1_310_720], [65_536, 16_777_216], [3136, 1_003_520]]
FACTORS = [32, 32, 32, 28]


def load_smart_resize():
    """The function alone, so that the module's own imports (torchvision) are not needed."""
    folder = Path(find_spec("transformers").origin).parent
    source = (folder / "models" / "qwen2_vl" / "image_processing_qwen2_vl.py").read_text()
    [function] = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "smart_resize"]
    scope = {"math": math}
    exec(compile(ast.Module([function], []), "smart_resize", "exec"), scope)
    version = (folder / "__init__.py").read_text().split('__version__ = "')[1].split('"')[0]
    return scope["smart_resize"], version


def make_sizes():
    smart_resize, version = load_smart_resize()
    random = np.random.default_rng(4)
    rows = []
    for index in range(3200):
        kind = index % 4
        if kind == 0:  # photographs
            h, w = (int(v) for v in random.integers(1, 6000, 2))
        elif kind == 1:  # around halves of the factor
            h, w = (int(v) * 16 + int(d) for v, d in zip(random.integers(1, 200, 2), random.integers(-1, 2, 2)))
        elif kind == 2:  # tiny
            h, w = (int(v) for v in random.integers(1, 130, 2))
        else:  # long
            h = int(random.integers(1, 100))
            w = int(h * random.uniform(1, 210))
            h, w = (h, w) if index % 8 < 4 else (w, h)
        h, w = max(1, h), max(1, w)
        bounds = int(random.integers(0, len(BOUNDS)))
        try:
            rows.append([h, w, bounds, *smart_resize(h, w, FACTORS[bounds], *BOUNDS[bounds])])
        except ValueError as error:
            rows.append([h, w, bounds, str(error)])
    fixture = {"command": COMMAND, "transformers": version, "bounds": BOUNDS, "factors": FACTORS, "rows": rows}
    write_json(FIXTURES / "smart-resize.json", fixture)


# --- resizes ---


def noise(count, seed):
    """Top bytes of x ← 1664525·x + 1013904223 mod 2³²; only 0 and 255 for every sixteenth seed."""
    state, values = seed, np.empty(count, np.uint8)
    for index in range(count):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        values[index] = state >> 24
    return np.where(values < 128, 0, 255).astype(np.uint8) if seed % 16 == 0 else values


def make_resizes():
    random = np.random.default_rng(5)
    sizes = [
        # width, height, to width, to height
        *[(64, 48, 32, 32), (64, 48, 160, 96), (61, 47, 96, 32), (33, 97, 64, 64), (31, 31, 32, 32), (128, 96, 32, 32)],
        *[(1, 1, 64, 64), (1, 50, 32, 64), (50, 1, 64, 32), (2, 3, 64, 96), (64, 64, 1, 1), (65, 7, 1, 7)],
        *[(64, 64, 64, 32), (64, 64, 96, 64), (64, 64, 64, 64), (200, 10, 640, 32), (10, 200, 32, 640), (299, 201, 96, 64)],
    ]
    for _ in range(60):
        sizes.append(tuple(int(v) for v in (*random.integers(1, 150, 2), *random.integers(1, 150, 2))))
    cases = []
    for seed, (width, height, to_width, to_height) in enumerate(sizes):
        source = Image.fromarray(noise(width * height * 3, seed).reshape(height, width, 3))
        result = np.asarray(source.resize((to_width, to_height), Image.Resampling.BICUBIC))
        case = {"seed": seed, "from": [width, height], "to": [to_width, to_height], "sha256": sha256(result)}
        if result.size <= 64 * 64 * 3 and seed < 18:
            case["rgb"] = base64.b64encode(result.tobytes()).decode()
        cases.append(case)
    write_json(FIXTURES / "bicubic.json", {"command": COMMAND, "pillow": PILLOW, "cases": cases})


# --- decoding ---


def photo():
    """Waves with noise; 131 x 97, so that no block or row of a codec is whole at the edges."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:97, 0:131]
    waves = np.stack([(x * 2) % 256, (y * 2 + x) % 256, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], -1)
    return np.clip(waves + random.normal(0, 6, waves.shape), 0, 255).astype(np.uint8)


def png(path, samples, colour, depth, extra=()):
    """A PNG of 8 or 16 bits that Pillow cannot write: filter 0, one IDAT. `extra`: chunks before the pixels."""
    height, width = samples.shape[:2]
    rows = samples.astype(">u2" if depth == 16 else np.uint8).reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))  # noqa: E731
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *[chunk(*one) for one in extra], chunk(b"IDAT", zlib.compress(data, 9)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def strange_profile():
    """An sRGB profile whose red and green primaries are exchanged: whoever applies it is found out."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for index in range(struct.unpack(">I", profile[128:132])[0]):
        at = 132 + 12 * index
        names = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}
        profile[at : at + 4] = names.get(bytes(profile[at : at + 4]), bytes(profile[at : at + 4]))
    return bytes(profile)


def write_pictures():
    pixels = photo()
    image, grey = Image.fromarray(pixels), Image.fromarray(pixels).convert("L")
    y, x = np.mgrid[0:97, 0:131]
    alpha = np.clip(x * 2 - 20 + y % 3, 0, 255).astype(np.uint8)
    clear = Image.fromarray(np.dstack([pixels, alpha]))
    palette = image.quantize(32)
    random = np.random.default_rng(6)
    save = lambda one, name, **options: one.save(DECODING / name, **options)  # noqa: E731
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        save(image, f"{name}.jpg", quality=85, subsampling=sampling)
        save(image, f"{name}-progressive.jpg", quality=70, subsampling=sampling, progressive=True)
    save(grey, "grey.jpg", quality=80)
    save(image.convert("CMYK"), "cmyk.jpg", quality=80)
    profile = strange_profile()
    save(image, "profile.jpg", quality=70, icc_profile=profile)
    save(palette.convert("RGB"), "profile.webp", lossless=True, icc_profile=profile)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        save(image, f"orientation-{orientation}.jpg", quality=50, exif=exif)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    save(palette, "orientation-6.png", exif=exif)
    save(palette.convert("RGB"), "orientation-6.webp", lossless=True, exif=exif)
    save(image.crop((0, 0, 61, 47)), "rgb.png")
    save(grey.crop((0, 0, 61, 47)), "grey.png")
    save(clear.crop((0, 0, 61, 47)), "rgba.png")
    save(clear.crop((0, 0, 61, 47)).convert("LA"), "grey-alpha.png")
    save(image.convert("1"), "one-bit.png")
    save(palette, "palette.png")
    save(image.quantize(14), "palette-4-bit.png", bits=4)
    save(palette, "palette-one-clear.png", transparency=5)
    save(palette, "palette-alpha.png", transparency=bytes(range(0, 256, 8)))
    save(image.crop((0, 0, 61, 47)), "rgb-one-clear.png", transparency=tuple(int(v) for v in pixels[10, 10]))
    save(palette, "animated.png", save_all=True, append_images=[palette.rotate(180)], duration=100)
    save(palette, "still.gif")
    save(palette, "one-clear.gif", transparency=7)
    save(palette, "animated.gif", save_all=True, append_images=[palette.rotate(180)], duration=100)
    save(image, "lossy.webp", quality=70)
    save(clear, "lossy-alpha.webp", quality=70)
    save(clear.crop((0, 0, 61, 47)), "lossless-alpha.webp", lossless=True, exact=True)
    save(palette.convert("RGB"), "animated.webp", save_all=True, append_images=[palette.convert("RGB").rotate(180)], lossless=True)
    small = pixels[:47, :61].astype(np.uint16) * 257
    deep = np.clip(small + random.integers(-128, 128, small.shape), 0, 65535).astype(np.uint16)
    see = (alpha[:47, :61].astype(np.uint16) * 257)[..., None]
    png(DECODING / "rgb-16.png", deep, 2, 16)
    png(DECODING / "rgba-16.png", np.dstack([deep, see]), 6, 16)
    png(DECODING / "grey-16.png", deep[..., :1], 0, 16)
    png(DECODING / "grey-alpha-16.png", np.dstack([deep[..., :1], see]), 4, 16)
    # A gamma of 1 and a profile change nothing either.
    iccp = (b"iCCP", b"strange\0\0" + zlib.compress(profile))
    png(DECODING / "gamma-profile.png", pixels[:47, :61], 2, 8, [(b"gAMA", struct.pack(">I", 100_000)), iccp])


def over_white(image):
    """All transparency over white, and whatever else as `convert('RGB')` does."""
    if image.mode == "I;16":  # Pillow would make everything above 255 white
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")


def make_pictures():
    DECODING.mkdir(parents=True, exist_ok=True)
    if not any(DECODING.iterdir()):
        write_pictures()
    answers = {}
    for path in sorted(DECODING.iterdir()):
        assert path.stat().st_size <= LIMIT_BYTES, path
        if path.suffix == ".json":
            continue
        with Image.open(path) as image:
            image.load()
            plain, turned = over_white(image), over_white(ImageOps.exif_transpose(image))
        answers[path.name] = {
            "size": plain.size,
            "sha256": sha256(np.asarray(plain)),
            "turnedSize": turned.size,
            "turnedSha256": sha256(np.asarray(turned)),
        }
    write_json(DECODING / "decoding.json", {"command": COMMAND, "pillow": PILLOW, "pictures": answers})


if __name__ == "__main__":
    FIXTURES.mkdir(parents=True, exist_ok=True)
    make_sizes()
    make_resizes()
    make_pictures()
