"""Fictitious families of region 99, the records that bureaus hold on them, and example applications."""
