"""The training side (torch): networks, data, loops, weights."""
