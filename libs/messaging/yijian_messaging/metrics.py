"""What an operator watches: throughput, batch sizes, dead letters, the outbox's age."""

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("yijian_records_handled_total", "Records whose effect was committed", ["consumer"])
DUPLICATES = Counter("yijian_records_duplicate_total", "Records that the inbox had already", ["consumer"])
BATCH = Histogram(
    "yijian_batch_records", "Records in one transaction", ["consumer"], buckets=(1, 5, 20, 50, 100, 200, 500, 1000)
)
BURIED = Counter("yijian_dead_letters_total", "Records that became dead letters", ["consumer"])
REBUILDS = Counter("yijian_client_rebuilds_total", "Kafka clients thrown away and built anew", ["component"])
SENT = Counter("yijian_outbox_sent_total", "Messages that Kafka acknowledged", ["service"])
UNSENT_AGE = Gauge("yijian_outbox_oldest_age_seconds", "Age of the oldest message that waits for the relay")
GATE_OPEN = Gauge("yijian_outbox_gate_open", "Whether messages behind this gate may be sent (1) or wait (0)", ["gate"])
UNSENT_ROWS = Gauge("yijian_outbox_unsent", "Messages that wait for the relay (counted up to 100,000)")
