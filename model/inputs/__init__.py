"""From record shards to batches of pixels and dense targets."""
