"""Applications of the past in every store: the same shapes, sizes and row counts as what the platform itself leaves."""

from yijian_bench.stored.filling import Template, fill, read_template
from yijian_bench.stored.readable import readable

__all__ = ["Template", "fill", "read_template", "readable"]
