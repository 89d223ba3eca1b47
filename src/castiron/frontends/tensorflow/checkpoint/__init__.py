"""TensorFlow's checkpoints: an index, which is a sorted table, and shards of raw data."""
