#!/bin/sh
# A text query and pictures as documents: files below --media-root, or pictures within the request as data: URIs.
# usage: examples/qwen3-vl/pictures.sh [base URL], with a server started by
#   node dist/cli.js serve --model-path tiny-qwen3-vl-reranker --media-root examples/media
curl --fail-with-body --silent --show-error "${1:-http://127.0.0.1:30000}/v1/rerank" \
  --header 'Content-Type: application/json' \
  --data '{
    "query": "A woman playing with her dog on a beach at sunset.",
    "documents": [
      [{"type": "image_url", "image_url": {"url": "scene.jpg"}}],
      [{"type": "image_url", "image_url": {"url": "photo.jpg"}}],
      [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR42mP438Cg4NDAIPDA4P///wAl+wZ9T/wi4AAAAABJRU5ErkJggg=="}}]
    ]
  }'
echo
