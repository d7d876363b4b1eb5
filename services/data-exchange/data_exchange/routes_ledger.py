"""HTTP out: the ledger, for anyone; it holds nothing about anybody."""

from fastapi import APIRouter

routes = APIRouter(tags=["ledger"])
