"""A database that came back from a backup is not asked how far it had read."""

from yijian_chaos.planted.group_offsets import believe_the_group


def plant() -> None:
    believe_the_group()
