"""How long what is over is kept, and how much of it is deleted in one transaction."""

# As long as topics keep their records: what was sent may have to be sent again after a restore of Kafka.
SENT_DAYS = 8
# Longer than any topic keeps a record, with room for a backup that is put back.
INBOX_DAYS = 32
# A settled dead letter's record is erased after this: it is somebody's data. That it was there, where it stood, what
# was wrong and what an operator decided stays as long as closed incidents do.
RECORD_DAYS = 90
INCIDENT_DAYS = 400
