#!/bin/sh
# A query with a picture; it is read and encoded once for all documents.
# usage: examples/qwen3-vl/picture-query.sh [base URL], with a server started by
#   node dist/cli.js serve --model-path tiny-qwen3-vl-reranker --media-root examples/media
curl --fail-with-body --silent --show-error "${1:-http://127.0.0.1:30000}/v1/rerank" \
  --header 'Content-Type: application/json' \
  --data '{
    "query": [
      {"type": "text", "text": "Find similar images to this:"},
      {"type": "image_url", "image_url": {"url": "scene.jpg"}}
    ],
    "documents": [
      "A disc and a box.",
      "Paris is the capital of France.",
      [{"type": "image_url", "image_url": {"url": "square.png"}}]
    ],
    "top_n": 2
  }'
echo
