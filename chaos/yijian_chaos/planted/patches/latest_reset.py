"""A group that Kafka knows no offset of begins at the end."""

from yijian_chaos.planted.group_offsets import believe_the_group


def plant() -> None:
    believe_the_group(auto_offset_reset="latest")
