"""The embedded checkpoint weights/tiny-qwen3-vl-reranker: random weights in the layout of Qwen/Qwen3-VL-Reranker-2B.

    python scripts/make-tiny-qwen3-vl.py [path of SGLang's qwen3_vl_reranker.jinja]

writes the model folder (with the tokenizer of weights/tiny-qwen3-reranker, which train-tiny-bpe.py made) and
test/golden/fixtures/tiny-qwen3-vl-reranker.json: the requests of qwen3_vl_requests.py with the prompt, the ids, the M-RoPE
positions, the pixels and z_yes - z_no of transformers in f32 on the bf16 weights. Pictures are decoded by Pillow, put on white,
resized by Pillow to transformers' size, and normalised and cut into patches by transformers. Given SGLang's template, the
script also checks that it renders the same prompts. Byte for byte the same on every run with the same versions.
"""

import json
import math
import sys
from pathlib import Path

import jinja2
import numpy as np
import PIL
import tokenizers
import torch
from tokenizers import Tokenizer

import qwen3_vl_layout as layout
import qwen3_vl_oracle as vl
import xlm_roberta_oracle as oracle
from qwen3_vl_prompts import (
    END, IMAGE_BOUNDS, PADS, SLOTS, START, TAIL, VIDEO_BOUNDS, Media, cut, digest, expand, first_of_runs, packed, parts_of, render,
    slot_tokenizer,
)
from qwen3_vl_requests import LIMIT, REQUESTS
from qwen3_vl_templates import CONVERSATION, ROLES
from transformers import AutoTokenizer, Qwen3VLProcessor
from transformers.video_utils import VideoMetadata

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "weights" / "tiny-qwen3-vl-reranker"
TOKENIZER = ROOT / "weights" / "tiny-qwen3-reranker"
GOLDEN = ROOT / "test" / "golden" / "fixtures" / "tiny-qwen3-vl-reranker.json"
COMMAND = "python scripts/make-tiny-qwen3-vl.py"
SEED = 2026
LIMIT_BYTES = 1_250_000
GOLDEN_LIMIT_BYTES = 300_000
# More rows than the tokenizer has ids, and attention wider than the residual stream, as in the published checkpoints.
TEXT = dict(hidden=64, layers=4, heads=4, kv_heads=2, head_dim=32, intermediate=128, vocab=2048, section=[6, 5, 5], positions=262144)
VISION = dict(depth=4, hidden=32, heads=2, intermediate=64, deepstack=[0, 1, 2], positions=2304)


def write_folder():
    """Everything but the weights; returns the configuration and the ids of yes and no."""
    (FOLDER / "1_LogitScore").mkdir(parents=True, exist_ok=True)
    (FOLDER / "additional_chat_templates").mkdir(exist_ok=True)
    (FOLDER / "tokenizer.json").write_bytes((TOKENIZER / "tokenizer.json").read_bytes())
    config = json.loads((TOKENIZER / "tokenizer_config.json").read_text(encoding="utf-8"))
    config |= {"model_max_length": TEXT["positions"], "processor_class": "Qwen3VLProcessor"}
    oracle.write_json(FOLDER / "tokenizer_config.json", config)
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    find = tokenizer.token_to_id
    ids = {"start": find(START), "end": find(END), "image": find(PADS["image"]), "video": find(PADS["video"])}
    text = TEXT | {"bos": find("<|endoftext|>"), "eos": find("<|im_end|>")}
    hf = layout.hf_config(text=text, vision=VISION, ids=ids, tied=True, dtype="bfloat16")
    oracle.write_json(FOLDER / "config.json", hf)
    oracle.write_json(FOLDER / "preprocessor_config.json", layout.preprocessor_config(*IMAGE_BOUNDS))
    oracle.write_json(FOLDER / "video_preprocessor_config.json", layout.video_preprocessor_config(*VIDEO_BOUNDS))
    yes, no = find("yes"), find("no")
    oracle.write_json(FOLDER / "1_LogitScore" / "config.json", {"true_token_id": yes, "false_token_id": no})
    modules = [("0", "", "Transformer"), ("1", "1_LogitScore", "LogitScore")]
    oracle.write_json(FOLDER / "modules.json", [
        {"idx": int(name), "name": name, "path": path, "type": f"sentence_transformers.models.{kind}"} for name, path, kind in modules
    ])
    (FOLDER / "chat_template.jinja").write_text(CONVERSATION, encoding="utf-8")
    (FOLDER / "additional_chat_templates" / "reranker.jinja").write_text(ROLES, encoding="utf-8")
    return hf, (yes, no)


def check_templates(source, query, document, instruct, text):
    """SGLang's template and the folder's own must render `text`."""
    plain = [
        [{"type": part["type"].removesuffix("_url"), **({"text": part["text"]} if part["type"] == "text" else {})} for part in parts_of(content)]
        for content in (query, document)
    ]
    if source is not None:
        given = {"instruct": instruct} if instruct else {}
        template = jinja2.Template(source.strip("\n").replace("\\n", "\n"))
        assert template.render(query=plain[0], document=plain[1], **given) == text
    messages = [{"role": "query", "content": plain[0]}, {"role": "document", "content": plain[1]}]
    if instruct:
        messages.insert(0, {"role": "system", "content": instruct})
    assert jinja2.Template(ROLES).render(messages=messages, add_generation_prompt=True) == text


class Comparison:
    """What transformers' whole processor makes of the same prompt, where it takes the same text."""

    def __init__(self):
        self.processor = Qwen3VLProcessor.from_pretrained(FOLDER)
        self.pixels = 0.0
        self.mean = 0.0
        self.prompts = 0

    def add(self, text, media, ids):
        """`text` with one pad for each medium. A clip's marks are left out: transformers puts them around each group itself."""
        text = text.replace(START + PADS["video"] + END, PADS["video"])
        images = [sources[0] for _, _, (sources, _), (_, _, video) in media if not video]
        clips = [(entry["fps"], *pictures) for _, entry, pictures, (_, _, video) in media if video]
        given = {}
        if images:
            given["images"] = images
        if clips:
            given["videos"] = [np.stack([np.asarray(source) for source in sources]) for _, sources, _ in clips]
            given["video_metadata"] = [
                VideoMetadata(total_num_frames=len(sources), fps=fps, frames_indices=list(indices))
                for fps, sources, indices in clips
            ]
            given |= {"do_sample_frames": False, "cap_pixels_per_frame": False}
        out = self.processor(text=[text], return_tensors="pt", **given)
        assert out["input_ids"][0].tolist() == ids, text
        for name, wanted in (("pixel_values", False), ("pixel_values_videos", True)):
            ours = [pixels for _, _, _, (pixels, _, video) in media if video == wanted]
            if ours:
                difference = (torch.cat(ours) - out[name]).abs()
                self.pixels = max(self.pixels, difference.max().item())
                self.mean = max(self.mean, difference.mean().item())
        self.prompts += 1


def make_requests(hf, scored, source):
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    slots = slot_tokenizer(FOLDER)
    special = {token["id"] for token in json.loads((FOLDER / "tokenizer.json").read_text("utf-8"))["added_tokens"] if token["special"]}
    assert special == set(AutoTokenizer.from_pretrained(FOLDER).all_special_ids)
    pads = {hf["image_token_id"], hf["video_token_id"]}
    model = vl.Qwen3VLForConditionalGeneration.from_pretrained(FOLDER, attn_implementation="eager", dtype=torch.float32).eval()
    media, comparison = Media(FOLDER), Comparison()
    requests, traces = [], []
    for request in REQUESTS:
        query, instruct, limit = request["query"], request.get("instruct"), request.get("maxLength", LIMIT)
        results = []
        for document in request["documents"]:
            text = render(query, document, instruct)
            check_templates(source, query, document, instruct, text)
            found = [media.of(part) for part in [*parts_of(query), *parts_of(document)] if part["type"] != "text"]
            runs = [(entry, prepared[2]) for _, entry, _, prepared in found]
            whole = slots.encode(expand(render(query, document, instruct, SLOTS), runs, SLOTS), add_special_tokens=False).ids
            typed = sum(text.count(pad) for pad in PADS.values()) != len(found)
            if not typed:
                assert whole == tokenizer.encode(expand(text, runs, PADS), add_special_tokens=False).ids
                comparison.add(text, found, whole)
            ids = cut(whole, special, limit)
            assert len(ids) <= limit + TAIL
            prepared = [value for _, _, _, value in found]
            values = vl.trace(model, hf, ids, prepared, scored)
            traces.append((ids, prepared, {name: values[name] for name in ("positions", "final", "logits")}))
            z, positions = values["logits"].double().item(), values["positions"]
            results.append({
                "text": text,
                "ids": packed(ids, pads),
                "truncatedTokens": len(whole) - len(ids),
                "media": [key for key, *_ in found],
                "positionsSha256": digest(positions.numpy().astype("<i4")),
                "runs": first_of_runs(ids, positions, pads),
                "lastPosition": positions[0, -1].item(),
                "logit": values["logits"].item(),
                "p": 1 / (1 + math.exp(-z)),
            })
        requests.append({**request, "maxLength": limit, "results": results})
    worst = vl.oracle_error(hf, model, traces, scored)
    return requests, {key: entry for key, entry, *_ in media.known.values()}, worst, comparison


def dump(golden):
    """JSON with one medium or document per line, so that a change shows in a diff."""
    def line(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    head = {key: value for key, value in golden.items() if key not in ("media", "requests")}
    media = ",\n".join(f"    {line(key)}: {line(entry)}" for key, entry in golden["media"].items())
    blocks = []
    for request in golden["requests"]:
        asked = line({key: value for key, value in request.items() if key != "results"})
        results = ",\n".join("      " + line(result) for result in request["results"])
        blocks.append(f'    {asked[:-1]},"results":[\n{results}\n    ]}}')
    requests = ",\n".join(blocks)
    return f'{json.dumps(head, indent=2)[:-2]},\n  "media": {{\n{media}\n  }},\n  "requests": [\n{requests}\n  ]\n}}\n'


def main():
    source = Path(sys.argv[1]).read_text(encoding="utf-8") if len(sys.argv) > 1 else None
    hf, scored = write_folder()
    state = vl.random_state(vl.build(hf), SEED, embedding_std=0.2, head_norm=1.25)
    oracle.save_weights(FOLDER / "model.safetensors", {name: value.to(torch.bfloat16) for name, value in state.items()})
    requests, media, worst, comparison = make_requests(hf, scored, source)
    golden = {
        "command": COMMAND,
        "versions": {**vl.VERSIONS, "tokenizers": tokenizers.__version__, "Pillow": PIL.__version__, "jinja2": jinja2.__version__},
        "f32_vs_f64": f"{worst:.2e}",
        "scored": {"yes": scored[0], "no": scored[1]},
        "media": media,
        "requests": requests,
    }
    GOLDEN.write_text(dump(golden), encoding="utf-8")
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == json.loads(json.dumps(golden))

    for path, limit in ((FOLDER / "model.safetensors", LIMIT_BYTES), (GOLDEN, GOLDEN_LIMIT_BYTES)):
        size = path.stat().st_size
        print(f"{path.name} {size} bytes")
        if size > limit:
            raise SystemExit(f"{path} has {size} bytes (limit {limit})")
    logits = torch.tensor([result["logit"] for request in requests for result in request["results"]])
    parameters = sum(value.numel() for value in state.values())
    print(f"{parameters} parameters, {len(requests)} requests, {len(logits)} prompts, f32 vs f64 {worst:.1e}")
    print(f"logits {logits.min():.2f} to {logits.max():.2f}, mean {logits.mean():.2f}, std {logits.std():.2f}")
    print(f"transformers' processor: {comparison.prompts} prompts with equal ids, pixel values differ by at most "
          f"{comparison.pixels:.5f}, {comparison.mean:.5f} in the mean of the worst prompt")
    for request in requests:
        print(json.dumps(request["query"], ensure_ascii=False)[:60], request["maxLength"])
        for result in request["results"]:
            length = sum(token[1] if isinstance(token, list) else 1 for token in result["ids"])
            print(f"  {result['logit']:8.3f} {length:5} -{result['truncatedTokens']:<4} {result['media']}")


if __name__ == "__main__":
    main()
