"""aiokafka commits by itself every few seconds, whatever became of the records."""

from yijian_chaos.planted.group_offsets import believe_the_group


def plant() -> None:
    believe_the_group(enable_auto_commit=True)
