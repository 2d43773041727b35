"""Prompts and media of make-tiny-qwen3-vl.py, as the official code, Pillow and transformers up to 5.9 make them."""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

import qwen3_vl_oracle as vl
from qwen3_vl_layout import MERGE, PATCH, TEMPORAL
from qwen3_vl_requests import DEFAULT
from transformers import Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize as smart_resize_clip

PICTURES = Path(__file__).resolve().parent.parent / "test" / "media" / "fixtures" / "pictures"
# Of Qwen3-VL-Reranker; the clips' are the base models'.
IMAGE_BOUNDS = (4096, 1310720)
VIDEO_BOUNDS = (4096, 25165824)
FACTOR = PATCH * MERGE
TAIL = 5

SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
START, END = "<|vision_start|>", "<|vision_end|>"
PADS = {"image": "<|image_pad|>", "video": "<|video_pad|>"}
# Stand for pads of real media where typed ones must stay text.
SLOTS = {"image": "<|slot_of_an_image|>", "video": "<|slot_of_a_clip|>"}


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def on_white(path):
    """RGB pixels as Pillow decodes them, transparent ones on white."""
    picture = Image.open(path)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.getchannel("A"))
    return white


class Media:
    """Pictures and clips by what a request says of them, prepared once."""

    def __init__(self, folder):
        self.processors = vl.processors(folder)
        self.known = {}

    def of(self, part):
        """The entry of the fixture, the patches with their grid, and whether it is a clip."""
        url = part["image_url"]["url"] if part["type"] == "image_url" else part["video_url"]["url"]
        video = not isinstance(url, str)
        fps = part["video_url"].get("fps", 2) if video else None
        key = json.dumps([url, fps]) if video else url
        if key not in self.known:
            sources = [on_white(PICTURES / name) for name in (url if video else [url])]
            indices = list(range(len(sources)))
            if video and len(sources) == 1:
                # A still clip: the model takes two frames at a time.
                sources, indices = sources * 2, [0, 0]
            width, height = sources[0].size
            if video:
                toheight, towidth = smart_resize_clip(len(sources), height, width, TEMPORAL, FACTOR, *VIDEO_BOUNDS)
            else:
                toheight, towidth = smart_resize(height, width, FACTOR, *IMAGE_BOUNDS)
            rgb = np.stack([np.asarray(source.resize((towidth, toheight), Image.Resampling.BICUBIC)) for source in sources])
            pixels, grid = vl.pixel_values(*self.processors, rgb)
            entry = {
                **({"fps": fps, "timestamps": timestamps(indices, fps)} if video else {}),
                "size": [height, width],
                "decodedSha256": digest(np.stack([np.asarray(source) for source in sources])),
                "resized": [toheight, towidth],
                # Of an odd clip the last frame counts twice.
                "resizedSha256": digest(np.concatenate([rgb, rgb[-1:]]) if video and len(rgb) % TEMPORAL else rgb),
                "grid": grid.tolist(),
                "mean": round(pixels.double().mean().item(), 9),
                "std": round(pixels.double().std(correction=0).item(), 9),
            }
            self.known[key] = (key, entry, (sources, indices), (pixels, grid, video))
        return self.known[key]


def timestamps(indices, fps):
    """Seconds of each pair of frames, all of which are kept."""
    return Qwen3VLProcessor._calculate_timestamps(None, list(indices), fps, TEMPORAL)


def parts_of(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def mark(part, pads):
    if part["type"] == "text":
        return part["text"]
    return START + pads["image" if part["type"] == "image_url" else "video"] + END


def render(query, document, instruct, pads=PADS):
    sides = ["".join(mark(part, pads) for part in parts_of(content)) for content in (query, document)]
    return (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n<Instruct>: {instruct or DEFAULT}<Query>:{sides[0]}\n"
        f"<Document>:{sides[1]}<|im_end|>\n<|im_start|>assistant\n"
    )


def expand(text, media, pads):
    """Pads repeated, a clip's marks replaced by its groups, as transformers did up to 5.9."""
    out, rest = [], text
    for entry, video in media:
        t, h, w = entry["grid"]
        tokens = h * w // MERGE**2
        slot = START + pads["video" if video else "image"] + END
        before, rest = rest.split(slot, 1)
        out.append(before)
        if video:
            out += [f"<{seconds:.1f} seconds>{START}{pads['video'] * tokens}{END}" for seconds in entry["timestamps"]]
        else:
            out.append(START + pads["image"] * tokens + END)
    assert not any(pad in rest for pad in SLOTS.values())
    return "".join(out) + rest


def slot_tokenizer(folder):
    """The tokenizer with the pads spelt as slots: what a request types as a pad is then text like any other."""
    form = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for token in form["added_tokens"]:
        for kind, pad in PADS.items():
            if token["content"] == pad:
                token["content"] = SLOTS[kind]
    return Tokenizer.from_str(json.dumps(form))


def cut(ids, special, limit):
    """source: QwenLM/Qwen3-VL-Embedding, `truncate_tokens_optimized`: special ids and the last five stay, others go from the end."""
    head, tail = ids[:-TAIL], ids[-TAIL:]
    if len(head) <= limit:
        return ids
    room = limit - sum(token in special for token in head)
    kept = []
    for token in head:
        if token in special or room > 0:
            kept.append(token)
            room -= token not in special
    return kept + tail


def packed(ids, pads):
    """Ids with runs of a pad as [id, count]."""
    out = []
    for token in ids:
        if token not in pads:
            out.append(token)
        elif out and isinstance(out[-1], list) and out[-1][0] == token:
            out[-1][1] += 1
        else:
            out.append([token, 1])
    return out


def first_of_runs(ids, positions, pads):
    """Index, and position in time, height and width, of each run's first visual token."""
    starts = [at for at, token in enumerate(ids) if token in pads and ids[at - 1] != token]
    return [[at, *positions[:, at].tolist()] for at in starts]
