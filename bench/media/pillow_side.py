"""Pillow's and numpy's side of picture.bench.ts: for every line on stdin the picture is preprocessed once, and the milliseconds
and a hash of the resized pixels are written. argv: file, width and height after the resize.
"""

import hashlib
import io
import sys
import time

import numpy as np
import PIL
from PIL import Image


def preprocess(encoded, size):
    """Qwen3-VL's steps: RGB, bicubic, (x - 127.5) / 127.5, patches of 16 in merge-block order, the frame twice."""
    resized = Image.open(io.BytesIO(encoded)).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    pixels = (np.asarray(resized, dtype=np.float32) - np.float32(127.5)) / np.float32(127.5)
    height, width = pixels.shape[0] // 32, pixels.shape[1] // 32
    blocks = pixels.reshape(height, 2, 16, width, 2, 16, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    return resized, np.repeat(blocks[:, :, :, :, :, None], 2, axis=5).reshape(height * width * 4, 1536)


def main():
    with open(sys.argv[1], "rb") as file:
        encoded = file.read()
    size = int(sys.argv[2]), int(sys.argv[3])
    print(f"Pillow {PIL.__version__}, numpy {np.__version__}", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        resized, _patches = preprocess(encoded, size)
        took = (time.perf_counter() - started) * 1000
        print(took, hashlib.sha256(np.asarray(resized).tobytes()).hexdigest(), flush=True)


main()
