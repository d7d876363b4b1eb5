"""What an operator watches here."""

from prometheus_client import Counter

REVIEWS = Counter("yijian_rating_reviews", "Reviews by level", ["level"])
ORDERS = Counter("yijian_rating_orders", "Rectification orders opened")
ESCALATIONS = Counter("yijian_rating_escalations", "Orders that reached a rung", ["rung"])
