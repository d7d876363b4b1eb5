"""What a person is told of the device behind a session: coarse words out of the User-Agent header, nothing finer."""

_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("HarmonyOS", "鸿蒙设备"),
    ("OpenHarmony", "鸿蒙设备"),
    ("Android", "安卓设备"),
    ("Windows", "Windows 电脑"),
    ("Macintosh", "苹果电脑"),
    ("Linux", "Linux 电脑"),
)
_BROWSERS = (  # the first that is named: most name others after themselves
    ("MicroMessenger", "微信"),
    ("AlipayClient", "支付宝"),
    ("Edg", "Edge 浏览器"),
    ("Firefox", "火狐浏览器"),
    ("Chrome", "Chrome 浏览器"),
    ("Safari", "Safari 浏览器"),
)
UNKNOWN = "其他设备"


def device_of(user_agent: str) -> str:
    """For instance `iPhone · 微信`; whatever is not known is `其他设备`."""
    named = [next((words for mark, words in known if mark in user_agent), None) for known in (_SYSTEMS, _BROWSERS)]
    return " · ".join(words for words in named if words is not None) or UNKNOWN
