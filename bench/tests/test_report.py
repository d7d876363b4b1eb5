"""What two platforms measured in turn come to: each pair by itself."""

from dataclasses import replace

import pytest
from yijian_bench.growth import Filled, turns
from yijian_bench.measure import Measurement
from yijian_bench.platform import Bench
from yijian_bench.report import SATURATION, STEADY, growths

ALONE = Measurement(
    SATURATION,
    stored=0,
    applications=100,
    completed_per_second=80.0,
    accepted_per_second=80.0,
    p50=0.1,
    p95=0.1,
    p99=0.1,
    accept_p99=0.1,
    cpu_ms_per_application={"approval": 10.0, "postgres": 10.0},
)
FEW, MANY = replace(ALONE, beside=1000), replace(ALONE, stored=1000, beside=0)


def test_a_machine_that_becomes_slower_between_pairs_is_not_taken_for_growth():
    found = [
        ALONE,
        replace(FEW, completed_per_second=60.0),
        replace(MANY, completed_per_second=54.0),
        replace(MANY, completed_per_second=27.0),
        replace(FEW, completed_per_second=30.0),
    ]

    (growth,) = growths(found)

    assert (growth.few, growth.many) == (0, 1000)
    assert growth.throughput == [pytest.approx(0.9), pytest.approx(0.9)]
    assert growth.cpu == [1.0, 1.0]


def test_latency_at_five_a_second_is_compared_with_its_own():
    found = [
        FEW,
        replace(FEW, name=STEADY, p95=0.2),
        replace(MANY, p95=0.4),
        replace(MANY, name=STEADY, p95=0.3),
    ]

    (growth,) = growths(found)

    assert growth.p95 == {SATURATION: [pytest.approx(4.0)], STEADY: [pytest.approx(1.5)]}
    assert "p95 at steady 5/s times 1.50 (1.50 to 1.50)" in growth.told()


def test_what_was_measured_alone_is_compared_with_nothing():
    assert growths([ALONE, replace(ALONE, stored=1000)]) == []


def test_neither_platform_always_comes_first(tmp_path):
    few, many = (Filled(Bench(tmp_path / name, 1)) for name in ("few", "many"))
    assert turns(few, many, 3) == [few, many, many, few, few, many]
