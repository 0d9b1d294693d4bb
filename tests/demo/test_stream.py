"""The flights are the real ones, all of them, and add up."""

from __future__ import annotations

import numpy as np
import pytest

from mmsnap.demo.stream import MEMBERS, Records, load_flights, share_of, totals_shape
from mmsnap.demo.trials import expected_totals


@pytest.fixture(scope="module")
def flights() -> Records:
    return load_flights()


def test_all_flights_of_the_year_are_there(flights: Records) -> None:
    assert flights.shape == (3, 336_776, 3)
    assert [totals_shape(records)[0] for records in flights] == [16, 3, 105]


def test_every_member_counts_every_flight_and_mile(flights: Records) -> None:
    totals = expected_totals(flights)
    for member in MEMBERS:
        assert totals[member][..., 0].sum() == 336_776
        assert totals[member][..., 2].sum() == 350_217_607  # miles, as of the package's table
    # The delays at the origin are those of departure, of which 8,255 flights have none.
    assert totals["origins"][..., 1].sum() == 4_152_200
    assert totals["carriers"][..., 1].sum() == totals["destinations"][..., 1].sum() == 2_257_174


def test_the_shares_of_the_members_are_the_whole_stream(flights: Records) -> None:
    shares = [share_of(flights, member) for member in range(len(MEMBERS))]
    assert sum(share.shape[1] for share in shares) == flights.shape[1]
    together = np.concatenate(shares, axis=1)
    assert together.sum() == flights.sum()


def test_a_slice_is_the_beginning_of_the_stream(flights: Records) -> None:
    np.testing.assert_array_equal(load_flights(1000), flights[:, :1000])
