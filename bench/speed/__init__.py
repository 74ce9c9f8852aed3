"""Speed: whole pipelines, training steps, inference, and latency in a browser."""
