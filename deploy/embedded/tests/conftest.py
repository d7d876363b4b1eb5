from collections.abc import Iterator
from uuid import UUID

import pytest
from yijian_embedded.platform import Platform


@pytest.fixture(scope="session")
def own_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Kafka and Postgres for these tests alone, which kill, stop and change them."""
    own = Platform(tmp_path_factory.mktemp("platform"))
    with pytest.MonkeyPatch.context() as patch:
        # One random cluster id in 64 starts with a dash, which must not be taken for an option: here it always does.
        patch.setattr("yijian_embedded.kafka.uuid4", lambda: UUID(bytes=b"\xf8" * 16))
        own.up(services=False)
    yield own
    own.clean()
