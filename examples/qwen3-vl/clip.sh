#!/bin/sh
# Clips: the frames as pictures, which needs no decoder, and a file, which needs one (npm install @napi-rs/webcodecs@1.3.1).
# usage: examples/qwen3-vl/clip.sh [base URL], with a server started by
#   node dist/cli.js serve --model-path tiny-qwen3-vl-reranker --media-root examples/media
curl --fail-with-body --silent --show-error "${1:-http://127.0.0.1:30000}/v1/rerank" \
  --header 'Content-Type: application/json' \
  --data '{
    "query": "a square that wanders",
    "documents": [
      [{"type": "video_url", "video_url": {"url": ["frame-0.png", "frame-1.png", "frame-2.png", "frame-3.png"], "fps": 2}}],
      [{"type": "video_url", "video_url": {"url": "clip.mp4"}}]
    ]
  }'
echo
