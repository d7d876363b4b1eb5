"""A producer that failed is used again."""

from yijian_messaging.relay import Relay

from yijian_chaos.planted.replacing import replace


async def _keep_it(_self: Relay) -> None:
    """It will recover, like the consumers do."""


def plant() -> None:
    replace(Relay, "_discard_producer", _keep_it)
