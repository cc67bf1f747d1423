"""Batches: many runs of the course from one plan, on this machine or a cluster, and one page on how they went."""
