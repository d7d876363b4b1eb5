"""Judges a run from raw sources only.

Imports nothing of the platform: what is checked must not be what checks.
"""
