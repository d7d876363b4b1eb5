"""What the ledger's tests tell with: leaves without details, a signer that takes one step at a time, a reader."""

from base64 import b64decode
from datetime import UTC, datetime
from uuid import UUID, uuid4

from data_exchange import ledger
from data_exchange.signing import EMPTY, Head, read_head, sign_next
from yijian_ledger.checkpoints import Checkpoint, open_checkpoint
from yijian_ledger.keys import PrivateKey
from yijian_ledger.leaf import Leaf, LeafKind, make_leaf
from yijian_ledger.proofs import verify_consistency, verify_inclusion
from yijian_ledger.tree_hash import SM3

from .conftest import Service

ORIGIN = "yijian.example/ledger"


def leaf(leaf_id: UUID | None = None) -> Leaf:
    return make_leaf(leaf_id or uuid4(), LeafKind.DISCLOSURE, {}, salt=bytes(32))


async def append(service: Service, count: int) -> list[Leaf]:
    """Append this many leaves in one transaction."""
    leaves = [leaf() for _ in range(count)]
    async with service.parts.store.transaction() as transaction:
        await ledger.append(transaction.connection, leaves)
    return leaves


async def sign(service: Service, key: PrivateKey, head: Head = EMPTY) -> Head | None:
    """Sign what is there, as the signer does once it has the lease."""
    async with service.parts.store.transaction() as transaction:
        current = await read_head(transaction.connection, key, known=head)
        return await sign_next(transaction, current, key, at=datetime.now(UTC), source="data-exchange")


class Reader:
    """Somebody who knows the ledger's public key, and remembers."""

    def __init__(self, service: Service, key: PrivateKey) -> None:
        self.client = service.client
        self.key = key.public
        self.last: Checkpoint | None = None

    async def checkpoint(self) -> Checkpoint:
        """The newest checkpoint, proven to go on from the last one that was looked at."""
        answer = await self.client.get("/checkpoint")
        assert answer.status_code == 200, answer.text
        checkpoint, _ = open_checkpoint(answer.text, self.key)
        if self.last is not None:
            query = {"old": self.last.size, "size": checkpoint.size}
            told = (await self.client.get("/v1/ledger/consistency", params=query)).json()
            proof = [b64decode(step) for step in told["proof"]]
            sizes = {"old": self.last.size, "size": checkpoint.size}
            verify_consistency(self.last.root, checkpoint.root, proof=proof, **sizes)
        self.last = checkpoint
        return checkpoint

    async def verify(self, wanted: Leaf) -> int:
        """That this leaf is in the newest tree; its place."""
        answer = await self.client.get("/v1/ledger/inclusion", params={"id": str(wanted.id)})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        checkpoint, _ = open_checkpoint(told["checkpoint"], self.key)
        assert told["leaf"].encode() == wanted.data
        proof = [b64decode(step) for step in told["proof"]]
        place: int = told["index"]
        verify_inclusion(SM3.leaf(wanted.data), index=place, size=checkpoint.size, proof=proof, root=checkpoint.root)
        return place
