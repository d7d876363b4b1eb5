from collections.abc import Iterator

import pytest
from yijian_embedded.platform import Platform


@pytest.fixture(scope="session")
def own_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Kafka and Postgres for these tests alone, which kill, stop and change them."""
    own = Platform(tmp_path_factory.mktemp("platform"))
    own.up(services=False)
    yield own
    own.clean()
