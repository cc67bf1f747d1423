"""Batches: many runs of the course from one plan, on this machine or on a cluster, and a report on all of them."""
