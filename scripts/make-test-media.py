"""Small clips for tests: moving shapes in the containers and codecs that people send, and files that are no clips.

    python scripts/make-test-media.py

writes test/media/fixtures/clip-*, audio-only.mp4 and lying-size.mp4. Needs PyAV with x264, x265 and vpx. Encoders differ between versions, so
the files are made once and kept.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent / "test" / "media" / "fixtures"
LIMIT_BYTES = 60_000


def picture(index, total, height, width):
    """A gradient with a coloured square that moves; every picture differs."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 255 * index // total)], -1).astype(np.uint8)
    left = (width - 16) * index // max(total - 1, 1)
    image[height // 4 : height // 4 + 16, left : left + 16] = [(230, 30, 40), (30, 200, 60), (40, 60, 220)][index % 3]
    return image


def write(name, *, codec, total, rate, height=48, width=64, pixels="yuv420p", options=None, steps=None, rotation=0,
          colours=None, container=None):
    path = FIXTURES / name
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        context = stream.codec_context
        context.thread_count = 1
        context.time_base = Fraction(1, 1000) if steps else 1 / Fraction(rate)
        if colours:
            context.colorspace, context.color_range = colours
        at = 0
        for index in range(total):
            frame = av.VideoFrame.from_ndarray(picture(index, total, height, width), format="rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace=colours[0] if colours else None,
                                   dst_color_range=colours[1] if colours else None)
            frame.pts = at
            at += steps[index % len(steps)] if steps else 1
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    if rotation:
        rotate(path)
    assert path.stat().st_size <= LIMIT_BYTES, path
    print(name, path.stat().st_size)


def rotate(path):
    """A quarter turn in the track header: the matrix 0 1 0 / -1 0 0 of 16.16 numbers."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    assert data[at] == 0  # version: where the matrix stands depends on it
    for place, value in enumerate([0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000]):
        data[at + 40 + 4 * place : at + 44 + 4 * place] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)


def write_audio(name):
    with av.open(str(FIXTURES / name), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        tone = (np.sin(np.arange(8000) / 5) * 0.3).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode())


def write_lie(name):
    """A grey frame of 8192x4352, which the container calls 64x48."""
    path = FIXTURES / name
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=5, options={"crf": "40", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 8192, 4352, "yuv420p"
        frame = av.VideoFrame(8192, 4352, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    data = bytearray(path.read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    data[at : at + 4] = (64).to_bytes(2, "big") + (48).to_bytes(2, "big")
    path.write_bytes(data)
    assert len(data) <= LIMIT_BYTES, len(data)


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    x264 = {"crf": "18", "g": "12", "bf": "2"}
    write("clip-h264.mp4", codec="libx264", total=31, rate=10, options=x264)
    write("clip-h264-fragmented.mp4", codec="libx264", total=24, rate=12, options=x264,
          container={"movflags": "frag_keyframe+empty_moov+default_base_moof"})
    write("clip-h264-index-first.mp4", codec="libx264", total=14, rate=7, options=x264, container={"movflags": "faststart"})
    write("clip-h264-open-gop.mkv", codec="libx264", total=40, rate=Fraction(30000, 1001),
          options={**x264, "x264-params": "open-gop=1"})
    write("clip-h264-varying.mp4", codec="libx264", total=20, rate=25, options=x264, steps=[40, 20, 160, 40, 100])
    write("clip-h264-rotated.mov", codec="libx264", total=9, rate=5, options=x264, rotation=90)
    write("clip-h264-bt709.mp4", codec="libx264", total=8, rate=8, options=x264, colours=(1, 1))
    write("clip-h264-full-range.mp4", codec="libx264", total=8, rate=8, options=x264, colours=(5, 2))
    write("clip-h264-444.mp4", codec="libx264", total=6, rate=6, options=x264, pixels="yuv444p")
    write("clip-hevc.mp4", codec="libx265", total=17, rate=10, options={"crf": "20", "x265-params": "log-level=none"})
    write("clip-hevc-10-bit.mp4", codec="libx265", total=6, rate=6, pixels="yuv420p10le",
          options={"crf": "20", "x265-params": "log-level=none"})
    write("clip-vp9.webm", codec="libvpx-vp9", total=25, rate=15, options={"crf": "24", "b": "0"})
    write("clip-vp8.webm", codec="libvpx", total=12, rate=6, options={"crf": "10", "b": "500k"})
    write("clip-h264-many-keys.mp4", codec="libx264", total=120, rate=30, options={"crf": "30", "g": "5", "bf": "2"})
    write("clip-av1.mp4", codec="libsvtav1", total=10, rate=10, height=64, options={"crf": "30"})
    write("clip-odd-size.mp4", codec="libx264", total=7, rate=7, height=45, width=61, options=x264, pixels="yuv444p")
    write("clip-one-frame.mp4", codec="libx264", total=1, rate=10, options=x264)
    write_audio("audio-only.mp4")
    write_lie("lying-size.mp4")


if __name__ == "__main__":
    main()
