#!/bin/sh
# Documents of text, of a picture, and of both; parts are read in the order in which they are written.
# usage: examples/qwen3-vl/mixed.sh [base URL], with a server started by
#   node dist/cli.js serve --model-path tiny-qwen3-vl-reranker --media-root examples/media
curl --fail-with-body --silent --show-error "${1:-http://127.0.0.1:30000}/v1/rerank" \
  --header 'Content-Type: application/json' \
  --data '{
    "query": "A woman playing with her dog on a beach at sunset.",
    "instruct": "Retrieve images or text relevant to the query.",
    "documents": [
      "A dog runs over the sand.",
      [{"type": "image_url", "image_url": {"url": "scene.jpg"}}],
      [{"type": "text", "text": "A joyful scene at the beach:"}, {"type": "image_url", "image_url": {"url": "photo.jpg"}}]
    ],
    "return_documents": true
  }'
echo
