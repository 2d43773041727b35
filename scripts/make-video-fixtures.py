"""What transformers computes for clips: sampled frames, sizes, time stamps and pixels, and how Python writes seconds.

    python scripts/make-video-fixtures.py

writes test/media/fixtures/video-rules.json, test/media/fixtures/video-golden.json and test/text/fixtures/seconds.json. Needs
torch, torchvision and transformers; the clips come from make-test-media.py, which runs first.
"""

import base64
import hashlib
import json
import random
import zlib
from pathlib import Path

import av
import numpy as np
import qwen3_vl_oracle as oracle
import torch
from transformers import Qwen3VLVideoProcessor
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize
from transformers.video_utils import VideoMetadata

TEST = Path(__file__).resolve().parent.parent / "test"
FIXTURES = TEST / "media" / "fixtures"
COMMAND = "python scripts/make-video-fixtures.py"
HALF = [0.5, 0.5, 0.5]


def write(path, cases, **rest):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"command": COMMAND, **oracle.VERSIONS, "numpy": np.__version__, **rest}
    lines = json.dumps({**head, **cases}, separators=(",", ":")).replace("],[", "],\n[").replace(',"', ',\n"')
    path.write_text(lines + "\n")


def processor(fps=2, min_frames=4, max_frames=768, size=(4096, 25165824)):
    return Qwen3VLVideoProcessor(
        image_mean=HALF,
        image_std=HALF,
        size={"shortest_edge": size[0], "longest_edge": size[1]},
        fps=fps,
        min_frames=min_frames,
        max_frames=max_frames,
        cap_pixels_per_frame=False,
    )


def checksum(indices):
    """Sum of index times place, mod 2^31 − 1: a row of indices in one number."""
    return int(sum((place + 1) * int(index) for place, index in enumerate(indices)) % (2**31 - 1))


def sampling(rng):
    rows = []
    rates = [24, 25, 30, 60, 30000 / 1001, 24000 / 1001, 15, 10, 12.5, 7.3, 1, 0.5, 120, 29.999, 3.7]
    totals = [*range(1, 130), 150, 200, 255, 256, 300, 449, 450, 899, 900, 1023, 1500, 1537, 3000, 9000, 54321, 100000]
    for total in totals:
        for fps in [*rng.sample(rates, 4), rng.uniform(0.2, 130), None]:
            bounds = rng.choice([(2, 4, 768), (2, 4, 768), (1, 4, 64), (2, 8, 10), (0.7, 2, 13)])
            made = processor(*bounds)
            metadata = VideoMetadata(total_num_frames=total, fps=fps)
            indices = made.sample_frames(metadata, fps=bounds[0])
            stamps = Qwen3VLProcessor._calculate_timestamps(None, indices, metadata.fps, 2)
            rows.append([total, fps, *bounds, len(indices), checksum(indices), sum(stamps)])
    return rows


def indices_of(rng):
    """Whole rows, chosen so that halves occur: (total − 1)·i is an odd multiple of (count − 1)/2."""
    pairs = [(count * k + 1 + half, 2 * count + 1) for count in (2, 3, 4, 6, 7, 10) for k in (1, 3, 5) for half in (0, 1)]
    pairs += [(rng.randrange(2, 3000), rng.randrange(2, 40)) for _ in range(40)]
    pairs = [(total, min(count, total)) for total, count in pairs]
    return [[total, *np.linspace(0, total - 1, count).round().astype(int).tolist()] for total, count in pairs]


def sizes(rng):
    rows = []
    bounds = [(4096, 25165824), (4096, 1310720), (131072, 786432), (65536, 3000000)]
    for _ in range(1200):
        frames = rng.choice([2, 3, 4, 5, 6, 7, 9, 11, 64, 100, 767, 768])
        side = lambda: rng.choice([rng.randrange(1, 70), rng.randrange(16, 4000), rng.randrange(1, 20) * 16])  # noqa: E731
        height, width = side(), side()
        low, high = rng.choice(bounds)
        try:
            size = list(smart_resize(frames, height, width, 2, 32, low, high))
        except ValueError:
            size = None
        rows.append([frames, height, width, low, high, size])
    return rows


def seconds(rng):
    values = [quarter / 4 for quarter in range(0, 400)] + [tenth / 20 for tenth in range(0, 1000)]
    for fps in (24, 25, 30, 30000 / 1001, 7.3, 12.5):
        values += [(2 * index / fps + (2 * index + rng.randrange(1, 9)) / fps) / 2 for index in range(400)]
    values += [10 ** rng.uniform(-6, 9) for _ in range(1000)]
    values += [rng.randrange(10**6) + 0.25 for _ in range(50)] + [2**40 + 0.25, 2**40 + 0.75, 0.05, 0.15, 0.95, 9.95, 5e-324]
    return [[value, f"{value:.1f}"] for value in values]


def decode(path):
    """All frames as PyAV gives them, turned for display, and the frame rate as torchcodec's exact scan counts it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None and not packet.is_discard]
        base = stream.time_base
        begin = min(packet.pts for packet in packets) * base.numerator / base.denominator
        end = max(packet.pts + (packet.duration or 0) for packet in packets) * base.numerator / base.denominator
        average, counted = float(stream.average_rate), stream.frames
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    frames = [np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90)) for frame in decoded]
    return np.stack(frames), {
        "frames": len(frames),
        "packets": len(packets),
        "format": decoded[0].format.name,
        "rotation": -decoded[0].rotation % 360,
        "scannedFps": len(packets) / (end - begin),
        "averageFps": average,
        "containerFrames": counted,
        "height": frames[0].shape[0],
        "width": frames[0].shape[1],
    }


def packed(values):
    """What the model reads, back in 8 bits (value · 127.5 + 127.5), patch order kept."""
    return base64.b64encode(zlib.compress(torch.round(values * 127.5 + 127.5).to(torch.uint8).numpy().tobytes(), 9)).decode()


def preprocess(clip, fps, bounds):
    made = processor(*bounds)
    metadata = VideoMetadata(total_num_frames=len(clip), fps=fps)
    output = made(videos=[clip], video_metadata=[metadata], do_sample_frames=True, return_tensors="pt", return_metadata=True)
    after = output["video_metadata"][0]
    indices = np.asarray(after.frames_indices)
    return {
        "indices": indices.tolist(),
        "grid": output["video_grid_thw"][0].tolist(),
        "timestamps": Qwen3VLProcessor._calculate_timestamps(None, indices, after.fps, 2),
        "pixels": packed(output["pixel_values_videos"]),
    }


def clips():
    """Hashes of all decoded frames, coarse colours where FFmpeg's conversion is not followed to the bit, and the model's view."""
    rows = {}
    for path in sorted(FIXTURES.glob("clip-*")):
        frames, facts = decode(path)
        rows[path.name] = {
            **facts,
            "hashes": [hashlib.sha256(np.ascontiguousarray(frame).tobytes()).hexdigest()[:16] for frame in frames],
            "means": [frame.mean((0, 1)).round(3).tolist() for frame in frames],
        }
        if path.name in ("clip-h264.mp4", "clip-vp9.webm", "clip-h264-rotated.mov"):
            rows[path.name]["model"] = preprocess(frames, facts["scannedFps"], (2, 4, 768))
    return rows


def made_clips():
    """Clips that tests can make again: value = (31 f + 7 y + 3 x + 50 c + (f x y) mod 97) mod 256."""
    cases = []
    for total, height, width, fps, bounds in [
        (9, 40, 56, 3.0, (2, 4, 768)),
        (20, 70, 50, 5.0, (2, 4, 768)),
        (4, 20, 90, None, (2, 4, 768)),
        (11, 64, 64, 4.0, (2, 4, 5)),
    ]:
        f, y, x, c = np.meshgrid(*map(np.arange, (total, height, width, 3)), indexing="ij")
        clip = ((31 * f + 7 * y + 3 * x + 50 * c + (f * x * y) % 97) % 256).astype(np.uint8)
        head = {"total": total, "height": height, "width": width, "fps": fps, "bounds": bounds}
        cases.append({**head, **preprocess(clip, fps, bounds)})
    return cases


def conversions(rng):
    """Random samples, and the colours that PyAV makes of them, in the forms that clips come in."""
    rows = []
    for form in ("yuv420p", "yuv422p", "yuv444p"):
        for matrix in ("bt601", "bt709", "bt2020"):
            for full in (False, True):
                frame = av.VideoFrame(16, 8, form)
                frame.colorspace, frame.color_range = {"bt601": 5, "bt709": 1, "bt2020": 9}[matrix], 2 if full else 1
                planes = []
                for plane in frame.planes:
                    # Out of its depth FFmpeg's converter for whole chroma wraps around; such colours do not occur.
                    low, high = (0, 256) if form != "yuv444p" else (90, 166)
                    samples = rng.integers(low, high, (plane.height, plane.line_size), dtype=np.uint8)
                    plane.update(samples.tobytes())
                    planes.append(samples[:, : plane.width].tobytes().hex())
                rgb = frame.to_ndarray(format="rgb24").tobytes().hex()
                rows.append({"form": form, "matrix": matrix, "full": full, "planes": planes, "rgb": rgb})
    return rows


def main():
    rng = random.Random(5)
    write(FIXTURES / "video-rules.json", {"sampling": sampling(rng), "indices": indices_of(rng), "sizes": sizes(rng)})
    write(TEST / "text" / "fixtures" / "seconds.json", {"seconds": seconds(rng)})
    write(FIXTURES / "video-golden.json", {"clips": clips(), "made": made_clips(), "conversions": conversions(np.random.default_rng(7))}, av=av.__version__)


if __name__ == "__main__":
    main()
