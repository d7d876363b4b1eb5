import json
from datetime import datetime, timedelta

from yijian_bench.load import Order, requests
from yijian_examples.forms import form_of
from yijian_examples.population import SHANGHAI, family

YESTERDAY = datetime.now(SHANGHAI).date() - timedelta(days=1)


def test_forms_are_of_the_day_of_the_records_though_another_has_begun() -> None:
    """Else the bureaus would find another birth in their records than in the form, and a person would have to look."""
    order = Order(
        url="",
        first=101,
        count=1,
        tokens=["a token"],
        authorisations=["a word"],
        connections=1,
        rate=None,
        today=YESTERDAY.isoformat(),
    )

    ((body, headers),) = requests(order)

    assert json.loads(body)["form"] == form_of(family(101, today=YESTERDAY))
    assert headers["Authorization"] == "Bearer a token"
