"""Steps, schedules, replicas, workers, checkpoints and restarts."""
