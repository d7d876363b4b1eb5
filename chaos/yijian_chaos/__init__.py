"""Attacks a platform of its own with faults drawn from a seed, while clients use it, and judges what became of it."""
