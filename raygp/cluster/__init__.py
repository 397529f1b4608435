"""Ray: clusters, Train runs, progress. Nothing outside this folder imports ray.train or ray.tune."""
